#!/bin/sh
# Stands for the cleanup that has to happen whatever became of the steps before it. A cleanup is written so that it
# may run twice, and so that it succeeds where there is nothing left to clean.
set -eu

echo "delete: dropping ${TABLE:?is not set} if it exists"
echo "delete: done"
