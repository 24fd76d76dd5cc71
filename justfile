# Every check, exactly as CI runs it; the steps are in one file so that they cannot drift.
check:
    CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}" .ci/run

# Formats everything.
fmt:
    cargo fmt

# Licences, advisories, sources (cargo-deny) and unused dependencies (cargo-machete).
audit:
    cargo deny --locked check
    cargo machete
