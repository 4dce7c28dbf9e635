"""Costs: functions of what a model says and of what it should say, drawn as cost nodes."""
