"""What the verbs do, written once for every kind of task: train, score, predict, audit, measure, demo."""
