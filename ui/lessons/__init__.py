"""Lessons: short guided tours, each of them a file of data beside this one."""
