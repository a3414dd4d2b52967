"""SLEAP's profiles: every key carried over with its unit, or listed."""

from __future__ import annotations

import json

import pytest

from ethomorph.core.errors import FormatError
from ethomorph.keypoints.pose.profiles import combined, read_profile

TF = {
    "data": {
        "labels": {"validation_fraction": 0.1},
        "preprocessing": {"ensure_rgb": False, "ensure_grayscale": True, "input_scaling": 0.5, "target_height": None},
        "instance_cropping": {"center_on_part": "thorax", "crop_size": 160},
    },
    "model": {
        "backbone": {"resnet": None, "unet": {
            "stem_stride": None, "max_stride": 16, "output_stride": 2, "filters": 16, "filters_rate": 2.0,
            "middle_block": True, "up_interpolate": True, "stacks": 1}},
        "heads": {"single_instance": {"part_names": None, "sigma": 2.5, "output_stride": 2, "offset_refinement": False},
                  "centroid": None},
    },
    "optimization": {
        "augmentation_config": {
            "rotate": True, "rotation_min_angle": -15.0, "rotation_max_angle": 15.0, "scale": False, "scale_min": 0.9,
            "scale_max": 1.1, "uniform_noise": False, "uniform_noise_max_val": 10.0, "gaussian_noise": True,
            "gaussian_noise_mean": 5.0, "gaussian_noise_stddev": 1.0, "contrast": True, "contrast_min_gamma": 0.5,
            "contrast_max_gamma": 2.0, "brightness": True, "brightness_min_val": 0.0, "brightness_max_val": 10.0,
            "random_flip": False, "flip_horizontal": True,
        },
        "batch_size": 4, "min_batches_per_epoch": 200, "epochs": 200, "optimizer": "adam",
        "initial_learning_rate": 0.0001,
        "learning_rate_schedule": {"reduce_on_plateau": True, "reduction_factor": 0.5, "plateau_min_delta": 1e-8,
                                   "plateau_patience": 5, "plateau_cooldown": 3, "min_learning_rate": 1e-8},
        "hard_keypoint_mining": {"online_mining": True, "hard_to_easy_ratio": 2.0, "min_hard_keypoints": 2,
                                 "max_hard_keypoints": None, "loss_scale": 5.0},
        "early_stopping": {"stop_training_on_plateau": True, "plateau_min_delta": 1e-8, "plateau_patience": 10},
    },
    "outputs": {"run_name": "x"},
}  # fmt: skip

NN = """
data_config:
  validation_fraction: 0.1
  preprocessing: {ensure_rgb: false, ensure_grayscale: true, scale: 1.0, crop_size: null}
  use_augmentations_train: true
  augmentation_config:
    intensity:
      {gaussian_noise_std: 0.02, gaussian_noise_p: 0.5, brightness_max: 1.1, brightness_p: 0.0}
    geometric: {rotation_min: -180, rotation_max: 180, scale_min: 0.9, scale_max: 1.1, flip_p: 0.0}
model_config:
  backbone_config:
    unet: {filters: 24, filters_rate: 1.5, max_stride: 32, kernel_size: 3, middle_block: true, up_interpolate: true}
  head_configs:
    bottomup:
      confmaps: {sigma: 2.5, output_stride: 4, part_names: null}
      pafs: {sigma: 75, output_stride: 8, loss_weight: 0.5}
trainer_config:
  train_data_loader: {batch_size: 8, shuffle: true}
  min_train_steps_per_epoch: 100
  max_epochs: 50
  optimizer_name: Adam
  optimizer: {lr: 0.0002, amsgrad: true}
  lr_scheduler: {reduce_lr_on_plateau: {threshold: 1.0e-6, cooldown: 3, patience: 4, factor: 0.3, min_lr: 1.0e-8}}
  early_stopping: {stop_training_on_plateau: false, min_delta: 1.0e-8, patience: 10}
  online_hard_keypoint_mining: {online_mining: false}
  seed: 42
"""


@pytest.fixture
def tf(tmp_path):
    path = tmp_path / "single.json"
    path.write_text(json.dumps(TF))
    return read_profile(path)


def test_a_tensorflow_profile_carries_over(tf):
    settings = tf.settings
    assert (tf.method, tf.head, tf.validation_fraction) == ("single_instance", "single_instance", 0.1)
    assert settings.data.input_scale == 0.5 and settings.data.crop_px == 160 and settings.heads.anchor == "thorax"
    assert (settings.model.backbone, settings.model.filters, settings.model.max_stride) == ("unet", 16, 16)
    assert (settings.heads.sigma_px, settings.heads.output_stride) == (2.5, 2)
    one = settings.optimization
    assert (one.epochs, one.steps_an_epoch, one.batch, one.learning_rate) == (200, 200, 4, 1e-4)
    assert (one.schedule, one.plateau_patience, one.plateau_factor, one.patience) == ("plateau", 5, 0.5, 10)
    assert one.hard_mining and one.hard_weight == 5 and one.averaging == 0


def test_units_are_converted(tf):
    vary = tf.settings.augmentation
    assert (vary.rotation_min_deg, vary.rotation_max_deg) == (-15, 15)
    assert (vary.scale_min, vary.scale_max) == (1, 1)  # switched off
    assert (vary.gamma_min, vary.gamma_max, vary.contrast_min) == (0.5, 2.0, 1)
    assert vary.shift_max == pytest.approx(10 / 255) and vary.brightness_max == 1
    assert vary.noise_mean == pytest.approx(5 / 255) and vary.noise_sd == pytest.approx(1 / 255)
    assert vary.uniform_noise_max == 0 and vary.flip == "none"


def test_what_has_no_counterpart_is_listed_with_the_reason(tf):
    said = "\n".join(tf.without)
    assert "early_stopping.plateau_min_delta = 1e-08: absolute thresholds" in said
    assert "plateau_cooldown = 3" in said and "min_learning_rate" in said
    assert "run_name" not in said and "target_height" not in said


def test_a_sleap_nn_profile_carries_over(tmp_path):
    path = tmp_path / "bottomup.yaml"
    path.write_text(NN)
    profile = read_profile(path)
    settings = profile.settings
    assert (profile.method, profile.seed) == ("bottom_up", 42)
    assert (settings.model.filters, settings.model.filters_rate, settings.model.max_stride) == (24, 1.5, 32)
    assert (settings.heads.field_sigma_px, settings.heads.field_stride, settings.heads.field_weight) == (75, 8, 2.0)
    assert settings.optimization.patience == 0 and settings.optimization.plateau_factor == 0.3
    vary = settings.augmentation
    assert vary.rotation_max_deg == 180 and vary.noise_sd == 0.02 and vary.brightness_max == 1
    assert any("gaussian_noise_p = 0.5" in line for line in profile.without)
    assert any("amsgrad" in line for line in profile.without)


def test_two_profiles_make_one_top_down_model(tmp_path):
    heads = {"centroid": {"anchor_part": "thorax", "sigma": 3.0, "output_stride": 4}, "single_instance": None}
    centroid = {**TF, "model": {**TF["model"], "heads": heads}}
    crop = {**TF, "model": {**TF["model"], "heads": {"centered_instance": {"sigma": 1.5, "output_stride": 2}}}}
    for name, document in (("a.json", centroid), ("b.json", crop)):
        (tmp_path / name).write_text(json.dumps(document))
    both = combined([read_profile(tmp_path / "a.json"), read_profile(tmp_path / "b.json")])
    settings = both.settings
    assert both.method == "top_down"
    assert (settings.heads.sigma_px, settings.heads.centroid_sigma_px, settings.heads.centroid_stride) == (1.5, 3.0, 4)
    assert settings.heads.centroid_scale == 0.5


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", '{"model": 1, "optimization": 2}', '{"a": 1}'])
def test_what_is_no_profile_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=r"x\.json") as error:
        read_profile(path)
    assert "\n" not in str(error.value)
