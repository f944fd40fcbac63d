"""A model whose process ends while it is imported."""

import os

os._exit(11)
