#!/bin/sh
# One line a minute, to see a schedule at work.
set -eu

echo "heartbeat: $(date -u +%Y-%m-%dT%H:%M:%SZ)"
