"""Suite folders: what is read, what is refused, and what validation finds."""

import hashlib
import io
import json
import os
import tracemalloc
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from echelon.adapters import (
    Answer,
    Audio,
    Box,
    Box3D,
    Boxes,
    BoxSpace,
    Call,
    Choice,
    Image,
    Json,
    Kind,
    Mask,
    Mesh,
    Number,
    Part,
    PointCloud,
    Role,
    Tensor,
    Text,
    Video,
)
from echelon.adapters.controls.oracle import Oracle, OracleSettings
from echelon.scorer.errors import InvalidSuiteError, UnknownNameError
from echelon.scorer.suites.answers import write_answers
from echelon.scorer.suites.folder import FolderSuite
from echelon.scorer.suites.requests import request_of
from echelon.scorer.suites.suite import Sample
from echelon.scorer.suites.validation import validate

Media = Mapping[str, bytes | NDArray[Any]]

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
COLOUR = np.stack([GREY] * 3, axis=2)
TASK = {
    "id": "words",
    "title": "Words",
    "modality": "language",
    "paradigm": "language",
    "skill": "reading",
    "instruction": "Say it.",
    "output": "text",
    "extractor": "text",
    "metric": "anls",
    "chance": 0.0,
    "samples": "words.jsonl",
}
TEXT: dict[str, Any] = {"kind": "text", "value": "hello"}
CORNERS = {"x_min": 0, "y_min": 0, "x_max": 1, "y_max": 0.5}
CUBOID = {"center": [1, 2, 3], "size": [4, 5, 6]}


def line(sample_id: str = "1", part: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {"id": sample_id, "parts": [part or TEXT], "reference": TEXT, **changes}


def write_suite(
    folder: Path,
    lines: Iterable[dict[str, Any] | str] = (line(),),
    media: Media | None = None,
    task: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """A suite of one task; `media` are bytes or arrays by path."""
    manifest = {"name": "tiny", "version": "1", "tasks": [{**TASK, **(task or {})}], **changes}
    folder.mkdir(exist_ok=True)
    (folder / "suite.yaml").write_text(yaml.safe_dump(manifest))
    written = [text if isinstance(text, str) else json.dumps(text) for text in lines]
    (folder / "words.jsonl").write_text("".join(text + "\n" for text in written))
    for path, content in (media or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content if isinstance(content, bytes) else npy(content))
    return folder


def npy(array: NDArray[Any]) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def read(folder: Path) -> list[Sample]:
    suite = FolderSuite(folder)
    return list(suite.samples(suite.tasks[0]))


def read_part(folder: Path, part: dict[str, Any], media: Media | None = None) -> Any:
    return read(write_suite(folder / "suite", [line(part=part)], media))[0].parts[0]


def refusal(folder: Path, part: dict[str, Any], media: Media | None = None) -> str:
    with pytest.raises(InvalidSuiteError) as caught:
        read_part(folder, part, media)
    return str(caught.value)


def test_a_task_carries_what_the_manifest_says(tmp_path: Path) -> None:
    (task,) = FolderSuite(write_suite(tmp_path, task={"output": ["text", "choice"], "labels": ["a", "b"]})).tasks
    assert task.call is Call.LANGUAGE
    assert task.output == (Kind.TEXT, Kind.CHOICE)
    assert (task.labels, task.chance, task.worst) == (("a", "b"), 0.0, None)


def test_samples_come_in_the_order_of_the_file_and_their_ids_too(tmp_path: Path) -> None:
    suite = FolderSuite(write_suite(tmp_path, [line("b"), "", line("a")]))
    assert [sample.id for sample in suite.samples(suite.tasks[0])] == ["b", "a"]
    assert suite.sample_ids(suite.tasks[0]) == ("b", "a")


def test_one_reference_or_several_are_read_as_several(tmp_path: Path) -> None:
    one, two = read(write_suite(tmp_path, [line("1"), line("2", reference=[TEXT, {"kind": "text", "value": "hi"}])]))
    assert one.references == (Text("hello"),)
    assert two.references == (Text("hello"), Text("hi"))


def test_parts_keep_their_name_and_role(tmp_path: Path) -> None:
    part = read_part(tmp_path, {**TEXT, "name": "before", "role": "exemplar", "language": "en"})
    assert part == Text("hello", "en", name="before", role=Role.EXEMPLAR)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"kind": "number", "value": 3, "unit": "degree"}, Number(3.0, "degree")),
        ({"kind": "choice", "labels": ["a", "b"]}, Choice.of("a", "b")),
        ({"kind": "json", "value": {"a": [1, None]}}, Json('{"a": [1, null]}')),
        (
            {
                "kind": "boxes",
                "space": "unit",
                "boxes": [{"x_min": 0, "y_min": 0, "x_max": 1, "y_max": 0.5, "label": "a"}],
            },
            Boxes((Box(0.0, 0.0, 1.0, 0.5, "a"),), BoxSpace.UNIT),
        ),
        (
            {"kind": "boxes", "cuboids": [{**CUBOID, "rotation": [0, 0, 0.6, 0.8], "label": "car", "track_id": 7}]},
            Boxes((Box3D((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (0, 0, 0.6, 0.8), "car", track_id=7),), BoxSpace.METRE),
        ),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_a_part_without_media_is_read(tmp_path: Path, written: dict[str, Any], expected: Part) -> None:
    assert read_part(tmp_path, written) == expected


def test_an_image_is_read_with_its_size(tmp_path: Path) -> None:
    image = Image.from_array(COLOUR)
    assert read_part(tmp_path, {"kind": "image", "path": "media/a.png"}, {"media/a.png": image.data}) == image


def test_a_sound_is_read_with_its_rate_and_channels(tmp_path: Path) -> None:
    sound = Audio.from_array(np.zeros((80, 2)), 8000)
    assert read_part(tmp_path, {"kind": "audio", "path": "a.wav"}, {"a.wav": sound.data}) == sound


def encoded(form: str) -> bytes:
    """A tone of 100 samples."""
    import soundfile

    out = io.BytesIO()
    soundfile.write(out, np.sin(np.arange(100)), 8000, format=form)
    return out.getvalue()


MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
EBML = b"\x1aE\xdf\xa3\x93B\x82\x88"


@pytest.mark.parametrize(
    ("name", "data", "media_type"),
    [
        ("a.mp4", MP4, "video/mp4"),
        ("a.mov", b"\0\0\0\x08wide\0\0\0\x08mdat", "video/quicktime"),
        ("a.avi", b"RIFF\x10\0\0\0AVI LIST", "video/vnd.avi"),
        ("a.webm", EBML + b"webm", "video/webm"),
        ("a.MKV", EBML + b"matroska", "video/matroska"),
    ],
)
def test_an_encoded_clip_travels_as_it_is(tmp_path: Path, name: str, data: bytes, media_type: str) -> None:
    assert read_part(tmp_path, {"kind": "video", "path": name}, {name: data}) == Video(data, media_type)


@pytest.mark.parametrize(
    ("name", "form", "media_type"),
    [("a.flac", "FLAC", "audio/flac"), ("a.ogg", "OGG", "audio/ogg"), ("a.mp3", "MP3", "audio/mpeg")],
)
def test_an_encoded_sound_travels_as_it_is(tmp_path: Path, name: str, form: str, media_type: str) -> None:
    data = encoded(form)
    sound = read_part(tmp_path, {"kind": "audio", "path": name}, {name: data})
    assert sound == Audio(data, media_type, 8000, 1)
    assert sound.array()[0].shape[1] == 1


def test_a_sound_that_is_not_decoded_here_travels_too(tmp_path: Path) -> None:
    assert read_part(tmp_path, {"kind": "audio", "path": "a.m4a"}, {"a.m4a": MP4}) == Audio(MP4, "audio/mp4")


def test_a_reference_has_to_be_decodable(tmp_path: Path) -> None:
    for kind, name, told in (
        ("video", "a.mp4", "a reference of type video/mp4 cannot be decoded here; give its frames, or a GIF or WebP"),
        ("audio", "a.m4a", "a reference of type audio/mp4 cannot be decoded here; give a WAV, FLAC, Ogg or MP3"),
    ):
        folder = write_suite(tmp_path, [line(reference={"kind": kind, "path": name})], {name: MP4})
        with pytest.raises(InvalidSuiteError, match=f"words.jsonl:1: {told}"):
            read(folder)
        assert f"words.jsonl:1: {told}" in validate(folder).faults
    folder = write_suite(tmp_path, [line(reference={"kind": "audio", "path": "a.flac"})], {"a.flac": encoded("FLAC")})
    assert [reference.kind for reference in read(folder)[0].references] == [Kind.AUDIO]


@pytest.mark.parametrize("form", ["BMP", "TIFF"])
def test_a_bitmap_travels_as_png(tmp_path: Path, form: str) -> None:
    from PIL import Image as Pillow

    out = io.BytesIO()
    Pillow.fromarray(COLOUR).save(out, form)
    name = f"a.{form[:3].lower()}"
    image = read_part(tmp_path, {"kind": "image", "path": name}, {name: out.getvalue()})
    assert (image.media_type, image.width, image.height) == ("image/png", 8, 6)
    assert (image.array() == COLOUR).all()


def test_a_video_is_read_from_frames_with_their_times(tmp_path: Path) -> None:
    video = Video.from_array(np.stack([GREY, GREY + 1]), frames_per_second=4)
    media = {f"{i}.png": frame.image.data for i, frame in enumerate(video.frames)}
    assert read_part(tmp_path, {"kind": "video", "frames": list(media), "frames_per_second": 4}, media) == video


def test_a_video_is_read_from_a_clip(tmp_path: Path) -> None:
    from PIL import Image as Pillow

    out = io.BytesIO()
    first, second = (Pillow.fromarray(pixels) for pixels in (GREY, GREY + 100))
    first.save(out, "GIF", save_all=True, append_images=[second])
    clip = read_part(tmp_path, {"kind": "video", "path": "a.gif"}, {"a.gif": out.getvalue()})
    assert (clip.media_type, clip.array().shape) == ("image/gif", (2, 6, 8, 3))


def test_a_point_cloud_is_read_with_its_channels(tmp_path: Path) -> None:
    points = np.arange(8, dtype=np.float32).reshape(2, 4)
    written = {"kind": "point_cloud", "path": "p.npy", "channels": ["x", "y", "z", "intensity"]}
    assert read_part(tmp_path, written, {"p.npy": points}) == PointCloud.from_array(
        points, channels=written["channels"]
    )


def exported(shape: Any, form: str) -> bytes:
    data = shape.export(file_type=form)
    return data if isinstance(data, bytes) else data.encode()


@pytest.mark.parametrize("form", ["ply", "obj", "stl", "off"])
def test_shapes_are_read_from_the_files_of_3d_programs(tmp_path: Path, form: str) -> None:
    import trimesh

    name, box = f"box.{form}", trimesh.creation.box((1, 2, 3))
    mesh = read_part(tmp_path, {"kind": "mesh", "path": name}, {name: exported(box, form)})
    corners, faces = mesh.array()
    assert (faces.shape, np.ptp(corners, axis=0).tolist()) == ((12, 3), [1, 2, 3])
    assert trimesh.Trimesh(corners, faces).area == pytest.approx(box.area)
    points = read_part(tmp_path, {"kind": "point_cloud", "path": name})
    assert (points.array() == corners).all()


def test_a_cloud_is_read_from_ply(tmp_path: Path) -> None:
    import trimesh

    places = np.arange(12, dtype=np.float32).reshape(4, 3)
    data = exported(trimesh.PointCloud(places), "ply")  # type: ignore[no-untyped-call]  # trimesh leaves it untyped
    cloud = read_part(tmp_path, {"kind": "point_cloud", "path": "p.ply"}, {"p.ply": data})
    assert (cloud.array() == places).all()
    assert "p.ply holds no faces; call it a point_cloud" in refusal(tmp_path, {"kind": "mesh", "path": "p.ply"})


def test_all_objects_of_a_file_are_one_shape(tmp_path: Path) -> None:
    text = """# caf\xe9
mtllib gone.mtl
o one
v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3
o two
usemtl red
v 0 0 1\nv 1 0 1\nv 1 1 1\nv 0 1 1\nf 4 5 6 7
"""
    mesh = read_part(tmp_path, {"kind": "mesh", "path": "a.obj"}, {"a.obj": text.encode("latin-1")})
    assert mesh.face_count == 3


def ply(header: str, body: bytes = b"") -> bytes:
    return f"ply\nformat ascii 1.0\n{header}\nend_header\n".encode() + body


XYZ_OF = "element vertex {}\nproperty float x\nproperty float y\nproperty float z"
TRIANGLE = XYZ_OF.format(3) + "\nelement face 1\nproperty list uchar int vertex_indices"


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.ply", b"", "a.ply cannot be read as a .ply file"),
        ("a.ply", ply(XYZ_OF.format(10**12)), "a.ply has 1000000000000 points, at most 4194304 are taken"),
        ("a.ply", ply(XYZ_OF.format(3), b"1 2 3\n4 5 6\n"), "a.ply"),
        ("a.ply", ply(XYZ_OF.format(1), b"1 nan 3\n"), "a.ply holds values that are not finite"),
        ("a.ply", ply(XYZ_OF.format(1), b"1 1e300 3\n"), "a.ply holds values that are not finite"),
        ("a.ply", ply(TRIANGLE, b"0 0 0\n1 0 0\n0 1 0\n3 0 1 9\n"), "a.ply"),
        ("a.stl", bytes(80) + b"\xff\xff\xff\xff", "a.stl is no STL file, or it is cut off"),
        ("a.stl", bytes(84), "a.stl"),
        ("a.stl", b"solid x\nendsolid x", "a.stl"),
        ("a.obj", b"nothing", "a.obj"),
        ("a.off", b"OFF", "a.off"),
    ],
)
def test_a_file_that_holds_no_shape_is_told(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    for kind in ("mesh", "point_cloud"):
        assert f"words.jsonl:1: {told}" in refusal(tmp_path, {"kind": kind, "path": name}, {name: data})


def test_a_mesh_is_read(tmp_path: Path) -> None:
    vertices, faces = np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32)
    mesh = read_part(
        tmp_path, {"kind": "mesh", "vertices": "v.npy", "faces": "f.npy"}, {"v.npy": vertices, "f.npy": faces}
    )
    assert mesh == Mesh.from_array(vertices, faces)


def test_a_mask_is_read_with_its_size_and_labels(tmp_path: Path) -> None:
    mask = Mask.from_array(GREY % 2, labels=["sky", "ground"])
    assert (
        read_part(tmp_path, {"kind": "mask", "path": "m.png", "labels": ["sky", "ground"]}, {"m.png": mask.png}) == mask
    )


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", ">f4"])
def test_a_tensor_of_any_type_and_order_is_read(tmp_path: Path, dtype: str) -> None:
    values = np.asfortranarray(np.arange(6).reshape(2, 3).astype(dtype))
    tensor = read_part(tmp_path, {"kind": "tensor", "path": "t.npy"}, {"t.npy": values})
    assert tensor == Tensor.from_array(values)
    assert (tensor.array() == values).all()


@pytest.mark.parametrize(
    ("part", "media", "told"),
    [
        ({"kind": "image", "path": "a.psd"}, {"a.psd": b"8B"}, "a.psd: the file must be one of .png, .jpg"),
        ({"kind": "image", "path": "a.png"}, {"a.png": b"\xff\xd8\xff"}, "a.png is not image/png, as its name says"),
        ({"kind": "audio", "path": "a.wav"}, {"a.wav": b"RIFF"}, "a.wav is not audio/wav, as its name says"),
        ({"kind": "audio", "path": "a.mp3"}, {"a.mp3": b"MP3"}, "a.mp3 is not audio/mpeg, as its name says"),
        ({"kind": "audio", "path": "a.flac"}, {"a.flac": b"fLaC"}, "a.flac: cannot decode the sound: the file"),
        ({"kind": "video", "path": "a.webm"}, {"a.webm": b"\x1aE\xdf\xa3matroska"}, "a.webm is not video/webm"),
        ({"kind": "video", "path": "a.mp4"}, {"a.mp4": bytes(48 * 2**20 + 1)}, "a.mp4 has 50331649 bytes, at most"),
        ({"kind": "image", "path": "a.bmp"}, {"a.bmp": b"BM"}, "a.bmp: cannot read the image"),
        ({"kind": "mesh"}, {}, "a mesh has 'vertices' and 'faces', or 'path'"),
        ({"kind": "mesh", "path": "a.ply", "faces": "f.npy"}, {}, "a mesh has 'vertices' and 'faces', or 'path'"),
        ({"kind": "video"}, {}, "a video has 'frames' and 'frames_per_second', or 'path'"),
        ({"kind": "video", "frames": ["a.png"]}, {}, "a video has 'frames' and 'frames_per_second', or 'path'"),
        ({"kind": "point_cloud", "path": "p.npy"}, {"p.npy": np.zeros((2, 3))}, "p.npy is float64 of shape [2, 3]"),
        ({"kind": "point_cloud", "path": "p.npy"}, {"p.npy": np.zeros((2, 4), "f4")}, "it must be float32 of [n, 3]"),
        ({"kind": "point_cloud", "path": "p.npy"}, {"p.npy": np.full((2, 3), np.nan, "f4")}, "not finite"),
        ({"kind": "point_cloud", "path": "p.npy", "channels": ["r", "g", "b"]}, {}, "must begin with x, y, z"),
        (
            {"kind": "mesh", "vertices": "v.npy", "faces": "f.npy"},
            {"v.npy": np.zeros((2, 3), "f4"), "f.npy": np.array([[0, 1, 2]], "i4")},
            "f.npy names vertices that v.npy does not have",
        ),
        ({"kind": "mask", "path": "m.png"}, {"m.png": Image.from_array(COLOUR).data}, "not an 8-bit greyscale PNG"),
        ({"kind": "tensor", "path": "t.npy"}, {"t.npy": np.zeros(2, "c8")}, "t.npy is complex64 with 1 axes"),
        (
            {"kind": "tensor", "path": "t.npy"},
            {"t.npy": b"PK\x03\x04 not numpy's"},
            "t.npy is not a .npy file of numbers",
        ),
        ({"kind": "boxes", "boxes": [{**CORNERS, "x_max": -1}]}, {}, "ends before it begins"),
        ({"kind": "boxes", "boxes": [], "space": "mile"}, {}, "$.parts[0].space"),
        ({"kind": "boxes"}, {}, "either 'boxes' (rectangles) or 'cuboids'"),
        ({"kind": "boxes", "boxes": [], "cuboids": []}, {}, "either 'boxes' (rectangles) or 'cuboids'"),
        ({"kind": "boxes", "cuboids": [], "space": "pixel"}, {}, "cuboids are in metres"),
        ({"kind": "boxes", "cuboids": [{**CUBOID, "rotation": [0, 0, 1, 1]}]}, {}, "a quaternion of length 1"),
        ({"kind": "boxes", "cuboids": [{**CUBOID, "rotation": [1]}]}, {}, "must be four numbers"),
        ({"kind": "boxes", "cuboids": [{**CUBOID, "size": [1, 1, -1]}]}, {}, "cuboids[0].size[2]"),
        ({"kind": "number", "value": "3"}, {}, "Expected `float`, got `str` - at `$.parts[0].value`"),
        ({"kind": "text", "valeu": "x"}, {}, "unknown field `valeu`"),
        ({"kind": "choice", "labels": []}, {}, "$.parts[0].labels"),
        ({"kind": "txt", "value": "x"}, {}, "Invalid value 'txt' - at `$.parts[0].kind`"),
    ],
)
def test_a_part_that_is_not_what_it_says_is_refused_with_file_and_line(
    tmp_path: Path, part: dict[str, Any], media: Media, told: str
) -> None:
    message = refusal(tmp_path, part, media)
    assert message.startswith("words.jsonl:1: ")
    assert told in message


def test_a_pickle_in_an_array_file_is_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    out = io.BytesIO()
    np.save(out, np.array([Trap()], object), allow_pickle=True)
    assert "not a .npy file of numbers" in refusal(
        tmp_path, {"kind": "tensor", "path": "t.npy"}, {"t.npy": out.getvalue()}
    )
    assert not (tmp_path / "sprung").exists()


def test_an_array_header_that_promises_more_than_the_file_holds_allocates_nothing(tmp_path: Path) -> None:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    tracemalloc.start()
    message = refusal(tmp_path, {"kind": "tensor", "path": "t.npy"}, {"t.npy": out.getvalue()})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "t.npy is not a .npy file of numbers" in message
    assert peak < 5_000_000


@pytest.mark.parametrize("path", ["", "/etc/hostname.png", "../a.png", "media/../../a.png", "a\0.png", "..\\a.png"])
def test_a_path_that_could_leave_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "a.png").write_bytes(Image.from_array(GREY).data)
    message = refusal(tmp_path, {"kind": "image", "path": path})
    assert "is no path inside the suite" in message or "the file must be one of" in message


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "a.png"
    outside.write_bytes(Image.from_array(GREY).data)
    folder = write_suite(tmp_path / "suite", [line(part={"kind": "image", "path": "link.png"})])
    (folder / "link.png").symlink_to(outside)
    with pytest.raises(InvalidSuiteError, match=r"words.jsonl:1: link.png is a link that leads out of the suite"):
        read(folder)
    with pytest.raises(InvalidSuiteError, match="leads out of the suite"):
        _ = FolderSuite(folder).info


@pytest.mark.parametrize("inside", [True, False])
def test_a_linked_folder_is_refused_wherever_it_leads(tmp_path: Path, inside: bool) -> None:
    folder = write_suite(tmp_path / "suite", [line(part={"kind": "image", "path": "media/a.png"})])
    target = folder / "real" if inside else tmp_path / "outside"
    target.mkdir()
    (target / "a.png").write_bytes(Image.from_array(GREY).data)
    (folder / "media").symlink_to(target, target_is_directory=True)
    with pytest.raises(InvalidSuiteError, match=r"media/a.png (lies in a linked folder|is a link that leads out)"):
        read(folder)
    with pytest.raises(InvalidSuiteError, match="media"):
        _ = FolderSuite(folder).info


def test_a_link_to_a_file_of_the_folder_is_followed(tmp_path: Path) -> None:
    image = Image.from_array(GREY)
    folder = write_suite(tmp_path, [line(part={"kind": "image", "path": "b.png"})], {"a.png": image.data})
    (folder / "b.png").symlink_to("a.png")
    assert read(folder)[0].parts == (image,)


def test_a_suite_that_is_itself_reached_over_a_link_is_read(tmp_path: Path) -> None:
    image = Image.from_array(GREY)
    folder = write_suite(tmp_path / "s", [line(part={"kind": "image", "path": "a.png"})], {"a.png": image.data})
    (tmp_path / "link").symlink_to(folder)
    assert read(tmp_path / "link")[0].parts == (image,)
    assert FolderSuite(tmp_path / "link").info == FolderSuite(folder).info


def test_a_pipe_in_place_of_a_file_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, [line(part={"kind": "image", "path": "a.png"})])
    os.mkfifo(folder / "a.png")
    with pytest.raises(InvalidSuiteError, match=r"a\.png is not a regular file"):
        read(folder)


def test_a_missing_medium_is_named(tmp_path: Path) -> None:
    assert "words.jsonl:1: gone.png: No such file" in refusal(tmp_path, {"kind": "image", "path": "gone.png"})


def test_places_of_the_instruction_are_filled_from_the_sample(tmp_path: Path) -> None:
    task = {"instruction": "Find {{the}} {thing} and {thing} again."}
    folder = write_suite(tmp_path, [line(fields={"thing": "{title} {{}}"})], task=task)
    assert read(folder)[0].instruction == "Find {the} {title} {{}} and {title} {{}} again."


def test_a_missing_field_is_named_with_its_line(tmp_path: Path) -> None:
    folder = write_suite(
        tmp_path, [line("1", fields={"thing": "cat"}), line("2")], task={"instruction": "Find {thing}"}
    )
    with pytest.raises(InvalidSuiteError, match=r"words.jsonl:2: the instruction needs 'thing'"):
        read(folder)


@pytest.mark.parametrize("template", ["{a.b}", "{a[0]}", "{a!r}", "{a:>9}", "{}", "{0}", "open {", "close }"])
def test_an_instruction_knows_plain_names_only(tmp_path: Path, template: str) -> None:
    with pytest.raises(InvalidSuiteError, match=r"suite.yaml: tasks\[0\]: the instruction has a lone"):
        FolderSuite(write_suite(tmp_path, task={"instruction": template}))


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ({"modality": "smell"}, "'tasks[0].modality' is 'smell'"),
        ({"metrik": "anls"}, "unknown key 'tasks[0].metrik' (did you mean 'metric'?)"),
        ({"id": "Big Name"}, "'id' is 'Big Name'; it takes at most 64 lower case letters"),
        ({"id": "../x"}, "'id' is '../x'"),
        ({"output": []}, "'output' lists no kind"),
        ({"output": "smell"}, "tasks[0].output"),
        ({"labels": ["a", "a"]}, "'labels' must be distinct"),
        ({"chance": float("nan")}, "'chance' and 'worst' must be finite"),
        ({"chance": "high"}, "'tasks[0].chance' must be a number"),
        ({"skill": " "}, "'skill' is empty"),
    ],
)
def test_a_bad_task_is_refused_with_its_place(tmp_path: Path, task: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidSuiteError) as caught:
        FolderSuite(write_suite(tmp_path, task=task))
    assert str(caught.value).startswith("suite.yaml: ")
    assert told in str(caught.value)


def test_all_faults_of_a_manifest_are_told_together(tmp_path: Path) -> None:
    with pytest.raises(InvalidSuiteError) as caught:
        FolderSuite(write_suite(tmp_path, task={"modality": "smell", "chance": "high"}, licence=7))
    assert all(word in str(caught.value) for word in ("modality", "chance", "licence"))


def test_two_tasks_of_one_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSuiteError, match="the task id 'words' is used more than once"):
        FolderSuite(write_suite(tmp_path, tasks=[TASK, TASK]))


@pytest.mark.parametrize(
    ("text", "told"), [("a: [", "is not valid YAML"), ("- a", "must hold a mapping"), ("a: 1\na: 2", "given twice")]
)
def test_a_manifest_that_is_no_mapping_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "suite.yaml").write_text(text)
    with pytest.raises(InvalidSuiteError, match=told):
        FolderSuite(tmp_path)


def test_a_folder_without_a_manifest_is_no_suite(tmp_path: Path) -> None:
    with pytest.raises(InvalidSuiteError, match=r"it has no suite\.yaml"):
        FolderSuite(tmp_path)


def test_a_repeated_id_is_refused_also_where_only_ids_are_read(tmp_path: Path) -> None:
    suite = FolderSuite(write_suite(tmp_path, [line("1"), line("2"), line("1")]))
    for reading in (suite.samples, suite.sample_ids):
        with pytest.raises(InvalidSuiteError, match=r"words.jsonl:3: the id '1' is used before"):
            list(reading(suite.tasks[0]))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "truncated"),
        ("[" * 100_000, "Expected `object`"),
        (json.dumps(line(part={"kind": "json", "value": 0})).replace("0", "[" * 100_000), "words.jsonl:1"),
        ('{"id": "1"}', "missing required field `parts`"),
        (json.dumps(line("")), "$.id"),
        (json.dumps(line("x" * 129)), "$.id"),
        (json.dumps(line(note="x")), "unknown field `note`"),
        (json.dumps(line(reference=[])), "$.reference"),
        ("\udcff", "words.jsonl:1"),
    ],
)
def test_a_line_that_is_no_sample_is_refused(tmp_path: Path, text: str, told: str) -> None:
    folder = write_suite(tmp_path)
    (folder / "words.jsonl").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidSuiteError, match=r"^words.jsonl:1: ") as caught:
        read(folder)
    assert told in str(caught.value)


def test_a_fault_stops_only_what_comes_after_it(tmp_path: Path) -> None:
    suite = FolderSuite(write_suite(tmp_path, [line("1"), "broken"]))
    samples = suite.samples(suite.tasks[0])
    assert next(samples).id == "1"
    with pytest.raises(InvalidSuiteError, match=r"words.jsonl:2"):
        next(samples)


def test_a_task_of_another_suite_is_unknown(tmp_path: Path) -> None:
    here = FolderSuite(write_suite(tmp_path / "a"))
    there = FolderSuite(write_suite(tmp_path / "b", task={"id": "wards"}))
    with pytest.raises(UnknownNameError, match=r"no task 'wards' .*did you mean 'words'"):
        list(here.samples(there.tasks[0]))


def test_the_digest_is_that_of_the_sorted_lines_of_all_files(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, media={"media/a.png": b"a", "media.txt": b"", "media/deep/ü.bin": b"u"})
    names = ["media.txt", "media/a.png", "media/deep/ü.bin", "suite.yaml", "words.jsonl"]
    contents = [(folder / name).read_bytes() for name in names]
    lines = [
        f"{name} {len(data)} {hashlib.sha256(data).hexdigest()}\n" for name, data in zip(names, contents, strict=True)
    ]
    assert FolderSuite(folder).info.digest == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_any_changed_byte_gives_another_digest(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, media={"a.png": b"a"})
    before = FolderSuite(folder).info
    (folder / "a.png").write_bytes(b"b")
    after = FolderSuite(folder).info
    assert before.digest != after.digest
    assert before.label == f"tiny@{before.digest[:4]}"


def test_the_cluster_is_the_main_medium_unless_the_sample_says_another(tmp_path: Path) -> None:
    image = Image.from_array(GREY)
    shown = [TEXT, {"kind": "image", "path": "a.png", "role": "exemplar"}, {"kind": "image", "path": "b.png"}]
    lines = [line("1", parts=shown), line("2", parts=shown[2:]), line("3"), line("4", parts=shown, cluster="mine")]
    media = {"a.png": Image.from_array(COLOUR).data, "b.png": image.data}
    first, second, third, fourth = (sample.cluster for sample in read(write_suite(tmp_path, lines, media)))
    assert first == second == hashlib.sha256(image.data).hexdigest()
    assert (third, fourth) == ("3", "mine")


def test_memory_does_not_grow_with_the_suite(tmp_path: Path) -> None:
    long = {"kind": "text", "value": "word " * 200}
    folder = write_suite(tmp_path, (line(f"{i:05}", part=long) for i in range(20_000)))
    suite = FolderSuite(folder)
    assert (folder / "words.jsonl").stat().st_size > 20_000_000
    tracemalloc.start()
    count = sum(1 for _ in suite.samples(suite.tasks[0]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 20_000
    # The ids alone are held, to tell repeated ones.
    assert peak < 5_000_000


def test_the_request_holds_what_the_model_may_know_and_nothing_more(tmp_path: Path) -> None:
    suite = FolderSuite(write_suite(tmp_path, task={"labels": ["hello", "bye"]}))
    (task,) = suite.tasks
    request = request_of(task, next(suite.samples(task)), 7)
    assert (request.call, request.instruction, request.parts) == (Call.LANGUAGE, "Say it.", (Text("hello"),))
    assert (request.output_kinds, request.labels) == ((Kind.TEXT,), ("hello", "bye"))
    assert (request.sampling.seed, request.sampling.temperature) == (7, 0.0)
    assert request.id == ""


def test_the_answer_key_makes_the_oracle_give_every_first_reference(tmp_path: Path) -> None:
    lines = [
        line(str(i), part={"kind": "number", "value": i}, reference=[{**TEXT, "value": f"{i}!"}, TEXT])
        for i in range(3)
    ]
    suite = FolderSuite(write_suite(tmp_path / "suite", lines))
    write_answers(suite, tmp_path / "key.jsonl")
    oracle = Oracle()
    oracle.open(OracleSettings(tmp_path / "key.jsonl"))
    (task,) = suite.tasks
    answers = oracle.language([request_of(task, sample, 5) for sample in suite.samples(task)])
    assert [answer.parts for answer in answers if isinstance(answer, Answer)] == [(Text(f"{i}!"),) for i in range(3)]


def test_a_good_suite_has_no_faults(tmp_path: Path) -> None:
    image = {"kind": "image", "path": "a.png"}
    media = {"a.png": Image.from_array(GREY).data}
    assert validate(write_suite(tmp_path, [line("1", part=image), line("2")], media)).faults == []


def test_validation_tells_every_fault_of_every_sample(tmp_path: Path) -> None:
    task = {"labels": ["yes", "no"], "output": "choice", "extractor": "label", "metric": "accuracy", "chance": 2}
    choice = {"kind": "choice", "labels": ["yes"]}
    lines = [
        line(
            "1", parts=[{"kind": "image", "path": "gone.png"}, {"kind": "image", "path": "torn.png"}], reference=choice
        ),
        line("1", reference={"kind": "choice", "labels": ["maybe"]}),
        line("2", reference={"kind": "number", "value": 1}),
    ]
    torn = Image.from_array(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).data[:200]
    faults = validate(write_suite(tmp_path, lines, {"torn.png": torn, "spare.txt": b"?"}, task)).faults
    expected = [
        "suite.yaml: task 'words': 'chance' is 2, accuracy goes from 0 to 1",
        "words.jsonl:1: gone.png: No such file or directory",
        "words.jsonl:1: cannot decode the image",
        "words.jsonl:2: the id '1' is that of words.jsonl:1",
        "words.jsonl:2: the task does not list the reference's 'maybe'",
        "words.jsonl:2: the reference does not score",
        "words.jsonl:3: the reference does not score",
        "spare.txt: no sample uses it",
    ]
    assert len(faults) == len(expected)
    assert [fault for fault, start in zip(faults, expected, strict=True) if not fault.startswith(start)] == []


def test_validation_tells_what_is_carried_and_not_decoded(tmp_path: Path) -> None:
    lines = [line(str(n), part={"kind": "video", "path": "a.mp4"}) for n in range(2)]
    checked = validate(write_suite(tmp_path, lines, {"a.mp4": MP4}))
    assert checked.faults == []
    assert checked.notes == [
        "task 'words': video/mp4 is carried and not decoded here; the model has to decode it (media: 2)"
    ]


def test_validation_goes_on_after_a_line_that_cannot_be_read(tmp_path: Path) -> None:
    faults = validate(
        write_suite(tmp_path, ["{", line("1", fields={}), "["], task={"instruction": "Say {what}"})
    ).faults
    assert [fault.partition(": ")[0] for fault in faults] == ["words.jsonl:1", "words.jsonl:2", "words.jsonl:3"]


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ({"metric": "acuracy"}, "there is no metric 'acuracy' (did you mean 'accuracy'?)"),
        ({"extractor": "txt"}, "there is no extractor 'txt' (did you mean 'text'?)"),
        ({"metric": "mae"}, "metric 'mae' has no worst value of its own"),
        ({"extractor": "number"}, "extractor 'number' gives number, metric 'anls' takes text"),
    ],
)
def test_validation_knows_metrics_and_extractors(tmp_path: Path, task: dict[str, Any], told: str) -> None:
    (fault,) = validate(write_suite(tmp_path, task=task)).faults
    assert fault.startswith("suite.yaml: task 'words': ")
    assert told in fault


def test_validation_finds_empty_tasks_and_missing_files(tmp_path: Path) -> None:
    folder = write_suite(tmp_path, tasks=[TASK, {**TASK, "id": "more", "samples": "more.jsonl"}])
    (folder / "words.jsonl").write_text("\n\n")
    assert validate(folder).faults == [
        "words.jsonl: task 'words' has no samples",
        "more.jsonl: No such file or directory",
    ]


def test_validation_finds_mask_values_without_a_label(tmp_path: Path) -> None:
    mask = Mask.from_array(GREY % 3)
    part = {"kind": "mask", "path": "m.png", "labels": ["a", "b"]}
    (fault,) = validate(write_suite(tmp_path, [line(part=part)], {"m.png": mask.png})).faults
    assert fault == "words.jsonl:1: the mask has the value 2 and only 2 labels"


def test_validation_of_a_bad_manifest_tells_just_that(tmp_path: Path) -> None:
    assert validate(write_suite(tmp_path, name="BAD")).faults == [
        "suite.yaml: 'name' is 'BAD'; it takes at most 64 lower case letters, digits, '.', '_' and '-'"
    ]
