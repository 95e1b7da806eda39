"""gradlint: a static checker for what makes gradients vanish, explode, go missing or lie in PyTorch code."""
