# Keylime imports the bindings of GnuPG, which no wheel exists of, for signatures on policies. None is checked here.
