"""Pods: chips that meet, what they are told to do, and the threads and processes they run on."""
