"""Tests that only a kernel with IPVS can judge: natively where there is one, else in a guest of the lab."""
