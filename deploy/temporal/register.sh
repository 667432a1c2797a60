#!/bin/sh
# Creates the namespace and what operators search jobs by; run again it changes nothing.
# Needs TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE. RETENTION is how long finished jobs stay readable.
set -eu

# $1: seconds; then a command that is tried once a second until it succeeds.
patiently() {
  seconds=$1
  shift
  until "$@"; do
    seconds=$((seconds - 1))
    if [ "$seconds" -le 0 ]; then
      echo "gave up: $*" >&2
      return 1
    fi
    sleep 1
  done
}

answers() { temporal operator cluster health >/dev/null 2>&1; }

create_attributes() {
  temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" \
    --name JobKind --type Keyword \
    --name UserId --type Keyword \
    --name SubjectId --type Keyword
}

attributes_are_known() {
  temporal workflow count --namespace "$TEMPORAL_NAMESPACE" \
    --query "JobKind = 'x' AND UserId = 'x' AND SubjectId = 'x'" >/dev/null 2>&1
}

patiently 60 answers
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" \
    --retention "${RETENTION:-168h}"
# A namespace, and what is added to it, is known to every part of the server only seconds later. A
# job started before that would be refused.
patiently 60 create_attributes
patiently 60 attributes_are_known
echo "namespace $TEMPORAL_NAMESPACE is ready"
