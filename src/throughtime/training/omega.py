def omega_probes(model): raise NotImplementedError
