"""The official `openai` package, unmodified, against the gateway."""

import asyncio
import math

import openai

from scene import EMBEDDER, WRITER, Heard, UP, api, bus, done, raises, report

client = api()
ASK = [{"role": "user", "content": "Name three colours."}]


def chat(**settings):
    return client.chat.completions.create(**{"model": WRITER, "messages": ASK, "temperature": 0, **settings})


def models():
    ids = {model.id for model in client.models.list()}
    assert {WRITER, EMBEDDER} <= ids, ids
    assert client.models.retrieve(WRITER).id == WRITER
    raises(openai.NotFoundError, lambda: client.models.retrieve("no-such-model"), "no-such-model")
    done("models")


def plain():
    answer = chat(max_tokens=24)
    choice = answer.choices[0]
    assert answer.object == "chat.completion" and answer.model == WRITER
    assert choice.message.role == "assistant" and choice.message.content.strip()
    assert choice.finish_reason == "length", choice.finish_reason
    usage = answer.usage
    assert usage.completion_tokens == 24 and usage.prompt_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert chat(max_tokens=24).choices[0].message.content == choice.message.content, "greedy is repeatable"
    done("chat")
    return choice.message.content, usage


def stream(text, usage):
    chunks = list(chat(max_tokens=24, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert all(c.usage is None for c in chunks[:-1]), "usage is in the last chunk alone"
    assert not chunks[-1].choices
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (usage.prompt_tokens, 24)
    assert len({c.id for c in chunks}) == 1 and {c.object for c in chunks} == {"chat.completion.chunk"}
    without = list(chat(max_tokens=4, stream=True))
    assert all(c.usage is None for c in without) and all(c.choices for c in without)
    done("stream")


def settings():
    stop = chat(max_tokens=200, stop=["2."])
    assert stop.choices[0].finish_reason == "stop" and "2." not in stop.choices[0].message.content
    seeded = [chat(temperature=1.0, seed=7, max_tokens=16).choices[0].message.content for _ in range(2)]
    assert seeded[0] == seeded[1], seeded
    logged = chat(max_tokens=3, logprobs=True, top_logprobs=2).choices[0].logprobs.content
    assert len(logged) == 3 and all(len(t.top_logprobs) == 2 and t.logprob <= 0 for t in logged)
    assert all(t.token == t.top_logprobs[0].token for t in logged), "greedy takes the likeliest"
    done("stop, seed, logprobs")


def completions():
    answer = client.completions.create(model=WRITER, prompt="Once upon a time", max_tokens=12, temperature=0)
    assert answer.object == "text_completion" and answer.choices[0].text
    assert answer.usage.completion_tokens == 12
    pieces = client.completions.create(
        model=WRITER, prompt="Once upon a time", max_tokens=12, temperature=0, stream=True
    )
    assert "".join(p.choices[0].text for p in pieces if p.choices) == answer.choices[0].text
    done("completions")


def embeddings():
    texts = ["a cat sat on the mat", "a kitten rested on the rug", "interest rates rose in March"]
    answer = client.embeddings.create(model=EMBEDDER, input=texts)
    vectors = [row.embedding for row in answer.data]
    assert [row.index for row in answer.data] == [0, 1, 2]
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    assert all(len(v) == 384 and abs(math.hypot(*v) - 1) < 1e-3 for v in vectors)
    near, far = (sum(a * b for a, b in zip(vectors[0], v)) for v in vectors[1:])
    assert near > far + 0.2, (near, far)
    # The package asks for base64 by default; floats must say the same.
    floats = client.embeddings.create(model=EMBEDDER, input=texts[0], encoding_format="float").data[0].embedding
    assert all(abs(a - b) < 1e-4 for a, b in zip(floats, vectors[0]))
    done("embeddings")


def bad_requests():
    bad_key = api(api_key="sk-wrong")
    error = raises(openai.AuthenticationError, lambda: bad_key.models.list())
    assert error.status_code == 401 and error.code == "invalid_api_key", error.code
    error = raises(openai.NotFoundError, lambda: chat(model="no-such-model"), "no-such-model", WRITER)
    assert error.code == "model_not_found", error.code
    for field, value in [("temperature", 9), ("max_tokens", -1), ("top_p", "high"), ("presence_penalty", 99)]:
        error = raises(openai.BadRequestError, lambda: chat(extra_body={field: value}))
        assert error.type == "invalid_request_error" and error.param == field, (error.type, error.param)
    for messages, field in [([], "messages"), ([{"role": "user"}], "content"), ("hello", "messages")]:
        error = raises(openai.BadRequestError, lambda: chat(messages=messages))
        assert field in f"{error.param} {error}", (error.param, str(error))
    raises(openai.BadRequestError, lambda: client.embeddings.create(model=WRITER, input="x"), WRITER)
    raises(openai.BadRequestError, lambda: chat(model=EMBEDDER), EMBEDDER)
    done("bad key, bad model, bad parameter")


def too_long():
    long = [{"role": "user", "content": "word " * 20_000}]
    error = raises(openai.BadRequestError, lambda: chat(messages=long, max_tokens=4), "8192")
    assert error.code == "context_length_exceeded", error.code
    error = raises(
        openai.BadRequestError, lambda: list(chat(messages=long, max_tokens=4, stream=True)), "8192"
    )
    assert error.code == "context_length_exceeded", error.code
    done("too long a prompt")


async def abort():
    nc = await bus()
    heard = await Heard.by(nc)
    pieces = []

    def read_a_little():
        stream = client.completions.create(
            model=WRITER, prompt="Once upon a time", max_tokens=4000, temperature=0, stream=True
        )
        for piece in stream:
            pieces.append(piece)
            if len(pieces) == 5:
                break
        stream.close()

    await asyncio.to_thread(read_a_little)
    job = pieces[0].id.removeprefix("cmpl-")
    name, ended = await heard.event(job, "cancelled", "completed", "failed", "expired")
    assert name == "cancelled", (name, ended)
    delivered = ended["usage"]["output_tokens"]
    assert 0 < delivered < 4000, ended
    charge = await heard.charge(job)
    lines = {line["meter"]: line["quantity"] for line in charge["lines"]}
    assert charge["outcome"] == "cancelled" and lines == ended["usage"], (charge, ended)
    await nc.close()
    done("abort: cancelled, and charged for what was delivered")
    return job


models()
stream(*plain())
settings()
completions()
embeddings()
bad_requests()
too_long()
report(aborted=asyncio.run(abort()), account=UP["nats_user"])
