"""This node beside other engines: the same load on each in turn, in one run, on one machine."""
