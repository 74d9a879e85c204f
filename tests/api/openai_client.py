#!/usr/bin/env python3
"""The official OpenAI client against a running server: completes, chats, streams, reads
log-probabilities and errors.

    python3 openai_client.py http://127.0.0.1:8080/v1

Exits 0 if all checks hold, 1 if one fails, 77 if the `openai` package is not installed.
"""
import concurrent.futures
import math
import sys
import urllib.request

try:
    import openai
except ImportError:
    print("skipped: the openai package is not installed", file=sys.stderr)
    sys.exit(77)

BASE_URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080/v1"
TRACE = "0af7651916cd43dd8448eb211c80319c"
client = openai.OpenAI(base_url=BASE_URL, api_key="none", max_retries=0, timeout=60)
model = None


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def refused(error_class, code, **arguments):
    """The call must fail with this class and code, and tell its trace id."""
    try:
        client.completions.create(model=model, **arguments)
    except error_class as error:
        check(error.code == code, f"code {error.code!r}, not {code!r}")
        check(error.response.headers.get("x-trace-id"), "an error without a trace id")
        check(error.request_id, "an error without a request id")
        return error
    raise AssertionError(f"{arguments} was accepted")


def test_models():
    global model
    models = client.models.list().data
    check(len(models) == 1, f"{len(models)} models")
    model = models[0].id
    check(client.models.retrieve(model).id == model, "the model is not found by its name")


def test_completion():
    answer = client.completions.create(model=model, prompt="It was the best of times", max_tokens=20,
                                       temperature=0, extra_body={"ignore_eos": True})
    check(answer.object == "text_completion", answer.object)
    check(answer.id.startswith("cmpl-"), answer.id)
    check(answer.choices[0].finish_reason == "length", answer.choices[0].finish_reason)
    check(answer.usage.completion_tokens == 20, answer.usage)
    check(answer.usage.total_tokens == answer.usage.prompt_tokens + 20, answer.usage)
    check(len(answer.choices[0].text) > 5, answer.choices[0].text)
    again = client.completions.create(model=model, prompt="It was the best of times", max_tokens=20,
                                      temperature=0, extra_body={"ignore_eos": True})
    check(again.choices[0].text == answer.choices[0].text, "greedy decoding differs")


def test_seed():
    texts = {client.completions.create(model=model, prompt="Once", max_tokens=24, temperature=1.0,
                                       seed=seed).choices[0].text for seed in (1, 1, 2, 3)}
    check(2 <= len(texts) <= 3, f"{len(texts)} different texts of 3 seeds")


def test_completion_stream():
    arguments = dict(model=model, prompt="Call me", max_tokens=30, temperature=0.7, seed=4)
    whole = client.completions.create(**arguments)
    text, usage, finish = "", None, None
    for chunk in client.completions.create(stream=True, stream_options={"include_usage": True},
                                           **arguments):
        check(chunk.id.startswith("cmpl-"), chunk.id)
        if chunk.usage:
            usage = chunk.usage
            check(not chunk.choices, "the usage chunk has choices")
            continue
        text += chunk.choices[0].text
        finish = chunk.choices[0].finish_reason or finish
    check(text == whole.choices[0].text, "stream and whole answer differ")
    check(usage == whole.usage, f"{usage} and {whole.usage}")
    check(finish == whole.choices[0].finish_reason, finish)


def test_choices():
    arguments = dict(model=model, prompt="Call me", max_tokens=20, temperature=1.0, logprobs=1)
    answer = client.completions.create(n=4, seed=4, **arguments)
    check([choice.index for choice in answer.choices] == [0, 1, 2, 3], answer.choices)
    check(len({choice.text for choice in answer.choices}) > 1, "four equal choices")
    alone = [client.completions.create(seed=4 + i, **arguments) for i in range(4)]
    for choice, single in zip(answer.choices, alone):
        check(choice.text == single.choices[0].text, f"choice {choice.index}")
        check(choice.finish_reason == single.choices[0].finish_reason, f"choice {choice.index}")
        check(choice.logprobs == single.choices[0].logprobs, f"choice {choice.index}")
    check(answer.usage.prompt_tokens == alone[0].usage.prompt_tokens, "the prompt counts once")
    check(answer.usage.completion_tokens == sum(one.usage.completion_tokens for one in alone),
          answer.usage)
    texts, usages = [""] * 4, []
    for chunk in client.completions.create(n=4, seed=4, stream=True,
                                           stream_options={"include_usage": True}, **arguments):
        usages += [chunk.usage] if chunk.usage else []
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    check(texts == [choice.text for choice in answer.choices], "stream and whole answer differ")
    check([usage.completion_tokens for usage in usages] == [answer.usage.completion_tokens], usages)
    check(usages[0].prompt_tokens == answer.usage.prompt_tokens, usages)


def test_chat_choices():
    arguments = dict(model=model, messages=[{"role": "user", "content": "Hello"}], max_tokens=12,
                     temperature=1.0, seed=9)
    answer = client.chat.completions.create(n=3, **arguments)
    single = client.chat.completions.create(**arguments)
    check(answer.choices[0].message == single.choices[0].message, "n changes the first choice")
    texts, roles, finishes = [""] * 3, [None] * 3, [None] * 3
    for chunk in client.chat.completions.create(n=3, stream=True, **arguments):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            roles[choice.index] = choice.delta.role or roles[choice.index]
            finishes[choice.index] = choice.finish_reason or finishes[choice.index]
    check(texts == [choice.message.content for choice in answer.choices], texts)
    check(roles == ["assistant"] * 3, roles)
    check(finishes == [choice.finish_reason for choice in answer.choices], finishes)


def test_token_prompt():
    answer = client.completions.create(model=model, prompt=[5, 6, 7, 8], max_tokens=3,
                                       extra_body={"ignore_eos": True, "return_token_ids": True})
    check(answer.usage.prompt_tokens == 4, answer.usage)
    check(len(answer.choices[0].model_extra["token_ids"]) == 3, "token_ids")


def test_completion_logprobs():
    answer = client.completions.create(model=model, prompt="The", max_tokens=8, temperature=0,
                                       logprobs=3, extra_body={"ignore_eos": True})
    logprobs = answer.choices[0].logprobs
    check(len(logprobs.tokens) == 8 == len(logprobs.token_logprobs), "eight tokens")
    for token, logprob, top in zip(logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs):
        check(abs(max(top.values()) - logprob) < 1e-5, f"{token!r} is not the most probable")
        check(sum(math.exp(value) for value in top.values()) <= 1.0001, "probabilities above 1")
    check(logprobs.text_offset[0] == 0, logprobs.text_offset)
    check(logprobs.text_offset == sorted(logprobs.text_offset), logprobs.text_offset)


def test_chat():
    messages = [{"role": "system", "content": "You are terse."},
                {"role": "user", "content": [{"type": "text", "text": "Who are you?"}]}]
    answer = client.chat.completions.create(model=model, messages=messages, max_tokens=16,
                                            temperature=0)
    check(answer.object == "chat.completion", answer.object)
    check(answer.id.startswith("chatcmpl-"), answer.id)
    check(answer.choices[0].message.role == "assistant", answer.choices[0].message)
    check(answer.choices[0].finish_reason in ("stop", "length"), answer.choices[0].finish_reason)
    text, role = "", None
    for chunk in client.chat.completions.create(model=model, messages=messages, max_tokens=16,
                                                temperature=0, stream=True):
        check(chunk.object == "chat.completion.chunk", chunk.object)
        role = chunk.choices[0].delta.role or role
        text += chunk.choices[0].delta.content or ""
    check(role == "assistant", role)
    check(text == answer.choices[0].message.content, "stream and whole answer differ")


def test_chat_logprobs():
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Hello"}], max_completion_tokens=6,
        temperature=0, logprobs=True, top_logprobs=4, extra_body={"ignore_eos": True})
    content = answer.choices[0].logprobs.content
    check(len(content) == 6, len(content))
    for entry in content:
        check(len(entry.top_logprobs) == 4, entry)
        check(entry.token == entry.top_logprobs[0].token, entry)
        check(abs(entry.logprob - entry.top_logprobs[0].logprob) < 1e-5, entry)
    chunks = list(client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Hello"}], max_completion_tokens=6,
        temperature=0, logprobs=True, top_logprobs=4, stream=True, extra_body={"ignore_eos": True}))
    streamed = [entry for chunk in chunks if chunk.choices[0].logprobs
                for entry in chunk.choices[0].logprobs.content]
    check([e.token for e in streamed] == [e.token for e in content], "streamed tokens differ")


def test_stop():
    arguments = dict(model=model, prompt="Once upon a time", max_tokens=60, temperature=0,
                     extra_body={"ignore_eos": True})
    text = client.completions.create(**arguments).choices[0].text
    stop = text[10:13]
    stopped = client.completions.create(stop=[stop, "never"], **arguments).choices[0]
    check(stopped.text == text[:text.index(stop)], (stopped.text, text, stop))
    check(stopped.finish_reason == "stop", stopped.finish_reason)


def test_errors():
    error = refused(openai.BadRequestError, "invalid_value", prompt="a", temperature=3)
    check(error.param == "temperature", error.param)
    error = refused(openai.BadRequestError, "invalid_value", prompt="a", n=17)
    check(error.param == "n", error.param)
    error = refused(openai.BadRequestError, "unsupported_parameter", prompt="a", n=2, best_of=3)
    check(error.param == "best_of", error.param)
    refused(openai.BadRequestError, "unsupported_parameter", prompt=["a", "b"])
    refused(openai.BadRequestError, "context_length_exceeded", prompt="a", max_tokens=10**6)
    refused(openai.BadRequestError, "unknown_parameter", prompt="a", extra_body={"no_such": 1})
    try:
        client.completions.create(model="no-such-model", prompt="a")
        raise AssertionError("an unknown model was accepted")
    except openai.NotFoundError as error:
        check(error.code == "model_not_found", error.code)
    try:
        client.embeddings.create(model=model, input="a")
        raise AssertionError("embeddings were accepted")
    except openai.NotFoundError as error:
        check(error.code == "not_found", error.code)


def test_trace():
    header = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    raw = client.completions.with_raw_response.create(model=model, prompt="a", max_tokens=1,
                                                      extra_headers=header)
    check(raw.headers["x-trace-id"] == TRACE, raw.headers)
    check(raw.headers["traceparent"].split("-")[1] == TRACE, raw.headers["traceparent"])
    check(raw.parse().id == raw.headers["x-request-id"], raw.headers["x-request-id"])


def test_many_at_once():
    def one(number):
        return client.completions.create(model=model, prompt="The", max_tokens=10, temperature=0,
                                         seed=number).choices[0].text
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        texts = set(pool.map(one, range(48)))
    check(len(texts) == 1, f"one greedy prompt in a crowd has {len(texts)} answers")


def test_left_stream():
    stream = client.completions.create(model=model, prompt="a", max_tokens=500, stream=True,
                                       extra_body={"ignore_eos": True})
    next(iter(stream))
    stream.close()
    root = BASE_URL.rsplit("/v1", 1)[0]
    for _ in range(200):
        with urllib.request.urlopen(root + "/metrics") as answer:
            text = answer.read().decode()
        gauge = [line for line in text.splitlines() if line.startswith("ryz_num_requests_running{")]
        if gauge and gauge[0].endswith(" 0"):
            return
    raise AssertionError("an abandoned stream goes on")


def main():
    failed = 0
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    for name, test in tests:
        try:
            test()
            print(f"ok      {name[5:]}")
        except Exception as error:  # pylint: disable=broad-except
            failed += 1
            print(f"FAILED  {name[5:]}: {type(error).__name__}: {error}")
            if model is None:
                break
    print(f"{len(tests) - failed} of {len(tests)} checks hold (openai {openai.__version__})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
