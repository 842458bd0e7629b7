#!/bin/sh
# For `helm upgrade --post-renderer`: takes the rendered chart on stdin, gives it back with the metastore replaced.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$(dirname "$0")/kustomization.yaml" "$folder"
cat > "$folder/rendered.yaml"
kubectl kustomize "$folder"
