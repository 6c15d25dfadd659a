"""Everything the lab does, without a screen: configuration, data, models, training, runs, evaluation, drawing."""
