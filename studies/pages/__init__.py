"""What the study pages show and ask: the plan's form, its forecast, plots and tables of results."""
