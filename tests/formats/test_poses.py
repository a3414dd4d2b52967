"""Poses from the files labs keep them in: one tracking in five formats reads as one."""

from __future__ import annotations

import numpy as np
import pytest

from ethomorph.core.errors import FormatError, InputError, LabelError
from ethomorph.formats.poses import find_films, read_poses, renamed_videos, write_poses
from ethomorph.keypoints.pose.table import tables_of


def table(path):
    tables, names = tables_of(read_poses(path)[0])
    return tables[0], names


def test_one_tracking_in_five_formats_is_one(shared_data, tmp_path):
    """SLEAP's own two files, DeepLabCut's two tables as pandas writes them, and NWB as sleap-io writes it."""
    import h5py
    import pandas as pd
    import sleap_io

    folder = shared_data / "pose-formats" / "test_single_topview"
    with h5py.File(folder / "testDLC_sleap.analysis.h5") as file:
        truth = file["tracks"][0].transpose(2, 1, 0)  # (frames, nodes, 2)
        nodes = [name.decode() for name in file["node_names"]]
        chosen = file["track_occupancy"][:, 0] > 0
    assert len(truth) > 90 and chosen.all()
    truth[3, 1] = np.nan
    values = np.concatenate([truth, np.where(np.isnan(truth[..., :1]), 0.0, 0.9)], -1)
    columns = pd.MultiIndex.from_product(
        [["DLC_resnet50_net"], nodes, ["x", "y", "likelihood"]], names=["scorer", "bodyparts", "coords"]
    )
    deeplabcut = pd.DataFrame(values.reshape(len(values), -1), columns=columns)
    deeplabcut.to_csv(tmp_path / "mouseDLC_net.csv")
    deeplabcut.to_hdf(tmp_path / "mouseDLC_net.h5", key="df_with_missing")
    skeleton, track = sleap_io.Skeleton(list(nodes), name="mouse"), sleap_io.Track("mouse")
    video = sleap_io.Video(
        filename="mouse.mp4", open_backend=False, backend_metadata={"shape": (len(truth), 600, 600, 1)}
    )
    frames = [
        sleap_io.LabeledFrame(video, i, [sleap_io.PredictedInstance.from_numpy(p, skeleton, score=0.9, track=track)])
        for i, p in enumerate(truth)
    ]
    sleap_io.save_nwb(sleap_io.Labels(frames, [video], [skeleton]), str(tmp_path / "mouse.nwb"))
    for name in ("testDLC_sleap.slp", "testDLC_sleap.analysis.h5"):
        found, _ = table(folder / name)
        found.points[3, 1] = np.nan
        assert_same(found, truth, nodes, read_poses(folder / name)[0])
    for name in ("mouseDLC_net.csv", "mouseDLC_net.h5", "mouse.nwb"):
        assert_same(table(tmp_path / name)[0], truth, nodes, read_poses(tmp_path / name)[0])


def assert_same(found, truth, nodes, labels):
    """A table of one animal has the truth's rows, whatever order its nodes are in."""
    order = [labels.skeletons[0].node_names.index(node) for node in nodes]
    assert found.frames.tolist() == list(range(len(truth))) and len(set(found.tracks.tolist())) == 1
    assert np.allclose(found.points[:, order], truth, atol=1e-3, equal_nan=True)


@pytest.mark.parametrize("suffix", ["csv_table.csv", "h5_table.h5"])
def test_deeplabcut_predictions_read_with_their_scores(shared_data, suffix):
    found, _ = table(shared_data / "pose-formats" / "test_single_topview" / f"testDLC_{suffix}")
    assert found.points.shape[1:] == (14, 2) and len(found) == found.stop - found.start
    assert 0.5 < found.scores.mean() <= 1.0


def test_several_animals_keep_their_names_and_empty_rows_their_frames(shared_data):
    found, names = table(shared_data / "pose-formats" / "test_madlc_topview" / "testDLC_csv_table_madlc.csv")
    assert names == ["mouse_black_tail", "mouse_white_tail"]
    assert (found.start, found.stop) == (0, 97) and len(found) == 191
    other, _ = table(shared_data / "pose-formats" / "test_madlc_topview" / "testDLC_h5_table_madlc.h5")
    assert other.points.shape[1:] == found.points.shape[1:]


@pytest.mark.parametrize(
    ("name", "frames", "nodes"),
    [
        ("pose-openfield/config.yaml", 80, 4), ("pose-mirror-mouse/CollectedData.csv", 90, 17),
        ("pose-sleap/clip.slp", 1500, 13), ("pose-formats/jabs/sample_pose_est_v3.h5", 1800, 12),
        ("pose-coco-animals/ap10k/test_ap10k.json", 2, 17), ("pose-sleap/minimal_instance.pkg.slp", 1, 2),
    ],
)  # fmt: skip
def test_real_files_read(shared_data, name, frames, nodes):
    labels, _ = read_poses(shared_data / name)
    assert len(labels.labeled_frames) == frames and len(labels.skeletons[0].nodes) == nodes


def test_pictures_of_a_project_and_embedded_frames_are_films(shared_data):
    path = shared_data / "pose-openfield" / "config.yaml"
    (film,) = find_films(read_poses(path)[0], path)
    assert len(film) == 80 and film.size == (480, 640)
    path = shared_data / "pose-sleap" / "minimal_instance.pkg.slp"
    (film,) = find_films(read_poses(path)[0], path)
    assert film.frame(0, grey=True).shape == (384, 384)


@pytest.mark.parametrize("suffix", [".slp", ".csv", ".h5"])
def test_poses_round_trip(tmp_path, toys, suffix):
    points = toys.paths(2, 8)
    points[3, 0, 1] = np.nan
    labels = toys.labels_of(points)
    labels.labeled_frames[5].instances.clear()
    write_poses(labels, tmp_path / f"a{suffix}")
    found, names = table(tmp_path / f"a{suffix}")
    assert names == ["animal 1", "animal 2"]
    kept = np.delete(points, 5, axis=0).reshape(-1, 3, 2)
    assert np.allclose(found.points, kept, equal_nan=True, atol=1e-3)
    assert found.frames.tolist() == [i for i in range(8) if i != 5 for _ in range(2)]


def test_poses_go_out_as_nwb_a_row_a_frame(tmp_path, toys):
    pytest.importorskip("ndx_pose")
    from pynwb import NWBHDF5IO

    points = toys.paths(2, 8)
    points[3, 0, 1] = np.nan
    labels = toys.labels_of(points, str(tmp_path / "toy.mp4"))
    labels.labeled_frames[5].instances.clear()
    notes = write_poses(labels, tmp_path / "a.nwb")
    assert any("frame numbers" in note for note in notes)
    with NWBHDF5IO(str(tmp_path / "a.nwb"), "r", load_namespaces=True) as io:
        module = io.read().processing["SLEAP_VIDEO_000_toy"]
        first = module["track0"]
        assert list(first.skeleton.nodes) == ["head", "middle", "tail"] and first.description == "animal 1"
        data = np.stack([first[name].data[:] for name in first.skeleton.nodes], 1)
        assert first["head"].confidence[:].tolist() == [1, 1, 1, 1, 1, 0, 1, 1]
    expected = points[:, 0].copy()
    expected[5] = np.nan
    assert np.allclose(data, expected, equal_nan=True, atol=1e-3)
    found, names = table(tmp_path / "a.nwb")
    assert len(names) == 2 and np.allclose(
        found.points, np.delete(points, 5, axis=0).reshape(-1, 3, 2), equal_nan=True, atol=1e-3
    )


def test_instances_without_tracks_are_numbered_and_that_is_said(tmp_path, toys):
    labels = toys.labels_of(toys.paths(2, 4))
    for frame in labels.labeled_frames:
        for instance in frame.instances:
            instance.track = None
    labels.tracks.clear()
    assert any("no identity" in note for note in write_poses(labels, tmp_path / "a.h5"))
    assert len(table(tmp_path / "a.h5")[0]) == 8


def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, toys):
    (tmp_path / "a.slp").write_bytes(b"not HDF5 at all")
    (tmp_path / "b.txt").write_text("x")
    for name in ("a.slp", "b.txt", "missing.slp"):
        with pytest.raises(FormatError) as error:
            read_poses(tmp_path / name)
        assert name in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(FormatError, match="no pose format"):
        write_poses(toys.labels_of(toys.paths(1, 2)), tmp_path / "a.txt")
    labels = toys.labels_of(toys.paths(1, 2), "nowhere.mp4")
    with pytest.raises(LabelError, match=r"video nowhere\.mp4 was not found"):
        find_films(labels, tmp_path / "a.slp")
    assert issubclass(LabelError, InputError)


@pytest.fixture(scope="module")
def toys():
    """The toys of the pose room."""
    import importlib.util
    from pathlib import Path

    path = Path(__file__).parents[1] / "keypoints" / "pose" / "toys.py"
    spec = importlib.util.spec_from_file_location("pose_toys_for_formats", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_labels_on_a_folder_of_pictures_round_trip_as_slp(tmp_path):
    import cv2

    pictures = tmp_path / "labeled-data" / "mouse"
    pictures.mkdir(parents=True)
    rows = ["scorer,me,me", "bodyparts,nose,nose", "coords,x,y"]
    for i in range(3):
        cv2.imwrite(str(pictures / f"img{i}.png"), np.zeros((8, 8), np.uint8))
        rows.append(f"labeled-data/mouse/img{i}.png,{i},{i + 1}")
    table_path = pictures / "CollectedData_me.csv"
    table_path.write_text("\n".join(rows) + "\n")
    labels, _ = read_poses(table_path)
    films = find_films(labels, table_path)
    write_poses(renamed_videos(labels, films), tmp_path / "a.slp")
    again, _ = read_poses(tmp_path / "a.slp")
    (film,) = find_films(again, tmp_path / "a.slp")
    assert len(film) == 3 and film.frame(2).shape == (8, 8, 3)
    assert again.labeled_frames[2].instances[0].numpy().tolist() == [[2.0, 3.0]]
