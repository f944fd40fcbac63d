"""Generates the Python code of the contract, its rules in Python, and the image that buf checks.

Run by `make proto` in a tool environment of its own: grpcio-tools and the packages that Echelon serves with cannot
share one. The sources import buf/validate/validate.proto for their rules; the generated code must not, since a module
of that name would clash with any other distribution's copy. The rules are therefore kept as options in the
descriptors, where protovalidate finds them, and only the import is dropped.
"""

import sys
from pathlib import Path

# Those that nothing names fill the pool that `collect` reads.
from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, field_mask_pb2, timestamp_pb2  # noqa: F401  (see above)
from google.rpc import status_pb2  # noqa: F401  (see above)
from grpc_tools import protoc
from write_rules import Writer

PROTO = Path(__file__).parent
RULES = "buf/validate/validate.proto"
OURS = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("echelon/v*/*.proto"))
OPEN_INFERENCE = "inference/open_inference.proto"
SERVICES = [name for name in OURS if name.endswith("_service.proto")]


def rules_set() -> descriptor_pb2.FileDescriptorSet:
    """validate.proto and what it imports, from the protovalidate wheel."""
    from protovalidate._gen.buf.validate import validate_pb

    rules = descriptor_pb2.FileDescriptorProto.FromString(validate_pb._DESC.proto.to_binary())
    files = descriptor_pb2.FileDescriptorSet()
    for name in ["google/protobuf/descriptor.proto", *rules.dependency, "google/rpc/status.proto"]:
        collect(name, files)
    files.file.append(rules)
    return files


def collect(name: str, files: descriptor_pb2.FileDescriptorSet) -> None:
    """Add the named file of the default pool, after what it imports."""
    if any(file.name == name for file in files.file):
        return
    file = descriptor_pb2.FileDescriptorProto()
    descriptor_pool.Default().FindFileByName(name).CopyToProto(file)
    for imported in file.dependency:
        collect(imported, files)
    files.file.append(file)


def run(*arguments: str) -> None:
    if protoc.main(["protoc", *arguments]) != 0:
        sys.exit(1)


def main(out: Path, image: Path) -> None:
    image.parent.mkdir(parents=True, exist_ok=True)
    imports = image.with_suffix(".imports")
    imports.write_bytes(rules_set().SerializeToString())
    run(
        f"-I{PROTO}",
        f"--descriptor_set_in={imports}",
        "--include_imports",
        "--include_source_info",
        f"--descriptor_set_out={image}",
        *OURS,
    )
    files = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())
    (out / "echelon/wire/plain_rules.py").write_text(Writer(files).module())
    kept = [file for file in files.file if file.name != RULES]
    for file in kept:
        if RULES in file.dependency:
            file.dependency.remove(RULES)
    image.write_bytes(descriptor_pb2.FileDescriptorSet(file=kept).SerializeToString())
    run(
        f"--descriptor_set_in={image}",
        f"--python_out={out}",
        f"--pyi_out={out}",
        *OURS,
    )
    run(f"--descriptor_set_in={image}", f"--grpc_python_out={out}", f"--mypy_grpc_out={out}", *SERVICES)
    # No code for this one: its names are tritonclient's too, and a process has one default pool.
    run(f"-I{PROTO}", f"--descriptor_set_out={out / 'echelon/wire/open_inference.binpb'}", OPEN_INFERENCE)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
