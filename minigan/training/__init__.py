"""Runs: the loop around GAN.train_step, and what makes a run safe. Read run.py first."""
from minigan.training import checkpoint, doctor, schedules, symptoms
from minigan.training.captured import capture
from minigan.training.doctor import Doctor
from minigan.training.run import Run
from minigan.training.trained import Trained, load

__all__ = ["Doctor", "Run", "Trained", "capture", "checkpoint", "doctor", "load", "schedules", "symptoms"]
