"""Pure numerics: directions, finite differences with error bars, kinks, and the comparison of two gradients."""
