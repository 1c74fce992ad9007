"""The one physical model behind every face: pure functions of elapsed seconds, without I/O."""
