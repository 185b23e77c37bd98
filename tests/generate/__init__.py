"""Random programs that always end and never fault, whatever is deleted from them, run on the core and on the model.

`samples` makes words from the table, `items` the pieces of a program, `layout` puts pieces together (jumps, loops, the
waits a correct program needs), `compare` runs the result on both machines and reduces what differs.
"""
