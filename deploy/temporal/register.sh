#!/bin/sh
# Creates the namespace and what operators search jobs by; run again it changes nothing.
# Needs TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE. RETENTION is how long finished jobs stay readable.
set -eu

tries=60
until temporal operator cluster health >/dev/null 2>&1; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || { echo "no Temporal server answers at $TEMPORAL_ADDRESS" >&2; exit 1; }
  sleep 1
done

temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" \
    --retention "${RETENTION:-168h}"

# A namespace is known to every part of the server a few seconds after it was made.
tries=60
until temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" \
  --name JobKind --type Keyword \
  --name UserId --type Keyword \
  --name SubjectId --type Keyword; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || exit 1
  sleep 1
done
echo "namespace $TEMPORAL_NAMESPACE is ready"
