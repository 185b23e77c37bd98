"""The interchip links: topologies, what packets take how long, counters and faults."""
