# shellcheck shell=bash
# What the .sbatch files beside it do, once they have said RUN and UP: the reward server on the first node of
# the job, the policy on all the others. Written after Slurm's manual (23.11); not tried under a Slurm controller.
#
#   sbatch sql_cot.sbatch [further arguments of guerdon train]
#
# from a place that all nodes see, with `guerdon` on the PATH (a virtual environment that is active). Runs are in
# $GUERDON_RUNS, else in ./runs. Ten minutes before its time is over, the job ends the step under way, writes a
# checkpoint and puts itself back in the queue; it goes on there, as it does after a node failure. A preemption tells the
# job in time only where Slurm is set up with PreemptParameters=send_user_signal; elsewhere the run goes on from the last
# checkpoint of [grpo] save_steps.
set -euo pipefail

fail() {
  echo "$RUN: $*" >&2
  exit 2
}

# Each start has a token of its own, unless there is one; nothing secret is on a command line.
export GUERDON_REWARD_TOKEN=${GUERDON_REWARD_TOKEN:-$(openssl rand -hex 24)}

out=${GUERDON_RUNS:-$SLURM_SUBMIT_DIR/runs}/$RUN
server=$out.server
mkdir -p "$server"
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
[ "${#nodes[@]}" -ge 2 ] || fail "needs two nodes or more: one for the reward server, the others for the policy"

# A run that died before its first checkpoint has nothing to go on from: it is put aside and starts anew.
resume=()
if compgen -G "$out/checkpoints/checkpoint-*" >/dev/null; then
  resume=(--resume)
elif [ -e "$out" ]; then
  mv "$out" "$out.$(date +%s)"
fi

# Step 0 of the job: Redis, API and worker; with the job's end, whatever it was, they end too.
rm -f "$server/ready.json"
srun --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" \
  guerdon up --host 0.0.0.0 --data-dir "$server" --ready-file "$server/ready.json" "${UP[@]}" &
up=$!
trap 'kill "$up" 2>/dev/null || true' EXIT
until [ -e "$server/ready.json" ]; do
  kill -0 "$up" 2>/dev/null || fail "the reward server ended before it was ready; its words are above"
  sleep 1
done

# Step 1: a torchrun on each of the other nodes, a rank for each GPU. Groups that are cut across ranks are joined by the
# reward server. SIGTERM reaches every rank by its torchrun; they leave together at the end of a step.
stopped=0
# shellcheck disable=SC2329 # the trap calls it
stop() {
  stopped=1
  scancel --signal=TERM "$SLURM_JOB_ID.1"
}
trap stop USR1
trainers=("${nodes[@]:1}")
srun --nodes="${#trainers[@]}" --ntasks="${#trainers[@]}" --nodelist="$(IFS=,; echo "${trainers[*]}")" \
  torchrun --nnodes="${#trainers[@]}" --nproc-per-node="${SLURM_GPUS_ON_NODE:-1}" --shutdown-timeout=480 \
  --rdzv-backend=c10d --rdzv-id="$SLURM_JOB_ID" --rdzv-endpoint="${trainers[0]}:29500" \
  -m guerdon.cli train "$RUN" --out "$out" --reward-url "http://${nodes[0]}:8000" "${resume[@]}" "$@" &
training=$!

status=0
wait "$training" || status=$?
if ((status == 128 + $(kill -l USR1))); then # the signal ended the waiting, not the training
  status=0
  wait "$training" || status=$?
fi
if ((stopped && status)); then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
