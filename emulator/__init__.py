"""What executes the instructions: lane vectors, the core, memories, chips. It never names an instruction."""
