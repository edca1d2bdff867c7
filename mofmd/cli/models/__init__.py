"""Commands about models: deploy, verify, bench, models, env, dispersion."""
