from mnist_core.training.early_stopping import EarlyStopping


def test_accuracy_counts_first_and_then_the_loss():
    stopping = EarlyStopping()
    waits = []
    for accuracy, loss in [(0.9, 0.5), (0.9, 0.4), (0.8, 0.1), (0.9, 0.4), (0.95, 0.9)]:
        stopping.record(accuracy, loss)
        waits.append(stopping.epochs_without_improvement)
    assert waits == [0, 0, 1, 2, 0]
    assert stopping.best == (0.95, -0.9)


def test_a_training_stops_when_its_patience_is_used_up():
    stopping = EarlyStopping()
    stopping.record(0.9, 0.5)
    assert not stopping.due(1)
    stopping.record(0.9, 0.5)
    assert stopping.due(1)
    assert not stopping.due(2)
    assert not stopping.due(0)
