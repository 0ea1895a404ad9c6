#!/bin/sh
# Stands for whatever a pipeline has to set up before it can load: here it only says so.
set -eu

echo "create: table ${TABLE:?is not set}"
echo "create: columns day, product, amount"
echo "create: done"
