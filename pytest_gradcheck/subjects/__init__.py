"""From whatever the user handed over to a pure function of its tensors, with everything put back afterwards."""
