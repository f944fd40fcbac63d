"""Parts that keep their bytes and decode them on demand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from echelon.adapters import (
    Box3D,
    Call,
    Choice,
    Image,
    InvalidInputError,
    Mesh,
    Part,
    PointCloud,
    Request,
    Role,
    Tensor,
    Text,
)
from echelon.adapters.content import DATA_TYPES


@pytest.mark.parametrize("data_type", sorted(DATA_TYPES))
def test_a_tensor_keeps_type_shape_and_values(data_type: str) -> None:
    values = np.array([[0, 1], [1, 0], [1, 1]]).astype(data_type)
    tensor = Tensor.from_array(values)
    assert (tensor.data_type, tensor.shape) == (data_type, (3, 2))
    assert (tensor.array() == values).all()
    assert tensor.array().dtype == values.dtype


def test_a_tensor_is_little_endian_and_row_major_whatever_it_came_from() -> None:
    values = np.arange(6, dtype=">f4").reshape(2, 3)
    assert Tensor.from_array(values.T).data == np.ascontiguousarray(values.T.astype("<f4")).tobytes()


def test_a_tensors_array_is_a_view_that_cannot_be_written() -> None:
    array = Tensor.from_array(np.zeros(2)).array()
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Tensor(bytes(8), "float32", (3,)), r"float32 of shape \[3\] takes 12 bytes, got 8"),
        (Tensor(bytes(8), "float32", (-1, -2)), "got 8"),
        (Tensor(bytes(8), "float32", (2**62, 4)), "got 8"),
        (Tensor(bytes(8), "float32", ()), "takes 4 bytes, got 8"),
        (Tensor(bytes(8), "object", (1,)), "unknown element type 'object'; known: bool, float16"),
        (Tensor(bytes(8), "complex64", (1,)), "unknown element type 'complex64'"),
        (Tensor(bytes(8), "f4,f4", (1,)), "unknown element type"),
        (PointCloud(bytes(8), 1), r"float32 of shape \[1, 3\] takes 12 bytes, got 8"),
        (PointCloud(bytes(8), -1, ("x", "y")), "got 8"),
        (Mesh(bytes(12), 1, bytes(8), 1), r"mesh faces: int32 of shape \[1, 3\] takes 12 bytes, got 8"),
    ],
)
def test_bytes_and_shape_that_disagree_are_told(part: Tensor | PointCloud | Mesh, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        part.array()


def test_a_scalar_and_an_empty_tensor_are_tensors() -> None:
    assert Tensor.from_array(np.array(3.5)).array().item() == 3.5
    assert Tensor.from_array(np.zeros((0, 4))).array().shape == (0, 4)


def test_points_and_meshes_survive() -> None:
    points = np.arange(8, dtype=np.float32).reshape(2, 4)
    cloud = PointCloud.from_array(points, channels=("x", "y", "z", "i"))
    vertices, faces = Mesh.from_array(points[:, :3], np.array([[0, 1, 1]])).array()
    assert (cloud.array() == points).all()
    assert (vertices == points[:, :3]).all()
    assert faces.tolist() == [[0, 1, 1]]


@pytest.mark.parametrize("pixels", [np.zeros((2, 2)), np.zeros((2, 2, 4), np.uint8), np.zeros(2, np.uint8)])
def test_only_pixels_become_an_image(pixels: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="pixels must be uint8"):
        Image.from_array(pixels)


def test_a_parts_bytes_stay_out_of_its_repr() -> None:
    assert "secret" not in repr(Image(b"secret"))
    assert "secret" not in repr(Tensor(b"secret!!", "float64", ()))


def test_a_choice_knows_its_label() -> None:
    assert Choice.of("b", "a").label == "b"


def test_the_first_part_of_a_type_or_name_is_found() -> None:
    parts: tuple[Part, ...] = (Text("a", role=Role.HISTORY), Image(b""), Text("b", name="after"))
    request = Request(Call.COMPREHEND, parts=parts)
    assert request.first(Text).value == "a"
    assert request.first(Text, "after").value == "b"
    with pytest.raises(InvalidInputError, match="the call has no image part named 'after'"):
        request.first(Image, "after")
    with pytest.raises(InvalidInputError, match="the call has no tensor part"):
        request.first(Tensor)


def test_the_corners_of_a_cuboid_turn_with_it() -> None:
    quarter = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))
    cuboid = Box3D((1, 2, 3), (4, 2, 6), quarter)
    corners = cuboid.corners()
    np.testing.assert_allclose((corners.min(axis=0), corners.max(axis=0)), [(0, 0, 0), (2, 4, 6)], atol=1e-12)
    assert (corners[:4, 2] < corners[4:, 2]).all()
    np.testing.assert_allclose(Box3D((1, 2, 3), (4, 2, 6)).corners()[0], (-1, 1, 0))
