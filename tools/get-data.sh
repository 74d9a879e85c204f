#!/usr/bin/env bash
# Says where the public traces and texts come from and checks which of them are in place.
# They are not ours to ship: scenarios look for them beside the scenario file, then in $RYZ_DATA.
set -euo pipefail
data=${RYZ_DATA:-$HOME/ryz-data}

cat <<TXT
Scenarios look for data files beside the scenario file, then in \$RYZ_DATA.
Put them there as follows, then: export RYZ_DATA=$data

  traces/azure_llm_2023_conv.csv              AzureLLMInferenceTrace_conv.csv of the repository
  traces/azure_llm_2023_code.csv              Azure/AzurePublicDataset, folder data (CC-BY 4.0)
  traces/mooncake_fast25_conversation.jsonl   conversation_trace.jsonl of the repository
                                              kvcache-ai/Mooncake, folder FAST25-release/traces
                                              (Apache-2.0)
  corpus/dracula.txt                          Project Gutenberg, book 345, without its licence text

State of $data:
TXT
missing=0
for file in traces/azure_llm_2023_conv.csv traces/azure_llm_2023_code.csv \
            traces/mooncake_fast25_conversation.jsonl corpus/dracula.txt; do
  if [ -s "$data/$file" ]; then
    printf '  there    %s\n' "$file"
  else
    printf '  missing  %s\n' "$file"
    missing=1
  fi
done
exit $missing
