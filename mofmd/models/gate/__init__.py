"""The physics gate: what must hold before a deployed model is trusted."""
