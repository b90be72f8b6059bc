"""The .proto, the pydantic messages and the examples say the same thing."""

import json
import types
import typing
from importlib.resources import files
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from grpc_tools import protoc
from pydantic import BaseModel, ValidationError

import guerdon
from guerdon import messages

PROTO = Path(guerdon.__file__).parent / "v1" / "reward.proto"
EXAMPLES = Path(guerdon.__file__).parent / "examples"
MESSAGE_OF = {
    "score_request": "ScoreRequest",
    "group_request": "ScoreRequest",
    "score_response": "ScoreResponse",
    "job": "Job",
    "job_accepted": "Job",
    "reward_list": "RewardList",
    "readiness": "Readiness",
    "refusal": "Refusal",
}


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> descriptor_pool.DescriptorPool:
    """The .proto as protoc reads it."""
    out = tmp_path_factory.mktemp("proto") / "reward.pb"
    include = str(files("grpc_tools") / "_proto")
    status = protoc.main(
        ["protoc", f"-I{PROTO.parent}", f"-I{include}", f"--descriptor_set_out={out}", "--include_imports", str(PROTO)]
    )
    assert status == 0
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file:
        pool.Add(file)
    return pool


def proto_messages(pool: descriptor_pool.DescriptorPool) -> dict[str, typing.Any]:
    return dict(pool.FindFileByName("reward.proto").message_types_by_name)


def test_every_message_of_the_proto_is_a_pydantic_model_and_the_other_way_round(
    pool: descriptor_pool.DescriptorPool,
) -> None:
    models = {
        name
        for name, value in vars(messages).items()
        if isinstance(value, type) and issubclass(value, messages.Message) and value is not messages.Message
    }
    assert models == set(proto_messages(pool))


def test_every_message_has_the_same_fields_in_both(pool: descriptor_pool.DescriptorPool) -> None:
    for name, descriptor in proto_messages(pool).items():
        model: type[BaseModel] = getattr(messages, name)
        assert list(model.model_fields) == [field.name for field in descriptor.fields], name


def test_fields_have_the_same_shape_in_both(pool: descriptor_pool.DescriptorPool) -> None:
    for name, descriptor in proto_messages(pool).items():
        for field in descriptor.fields:
            annotation = getattr(messages, name).model_fields[field.name].annotation
            assert shape_of_annotation(annotation) == shape_of_field(field), f"{name}.{field.name}"


def shape_of_field(field: typing.Any) -> str:
    message = field.message_type
    if message is not None and message.full_name == "google.protobuf.Value":
        return "any"
    if message is not None and (message.full_name == "google.protobuf.Struct" or message.GetOptions().map_entry):
        return "map"
    if field.is_repeated:
        return "list"
    if message is not None:
        return message.name
    return {"TYPE_DOUBLE": "number", "TYPE_INT32": "number", "TYPE_BOOL": "bool", "TYPE_ENUM": "string"}.get(
        descriptor_pb2.FieldDescriptorProto.Type.Name(field.type), "string"
    )


def shape_of_annotation(annotation: typing.Any) -> str:
    if "JsonValue" in str(annotation) and typing.get_origin(annotation) is not dict:
        return "any"
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return shape_of_annotation(typing.get_args(annotation)[0])
    if origin is typing.Literal:
        return "string"
    if origin in (typing.Union, types.UnionType):
        parts = {shape_of_annotation(part) for part in typing.get_args(annotation) if part is not type(None)}
        return parts.pop() if len(parts) == 1 else "any"
    if origin in (list, dict):
        return {list: "list", dict: "map"}[origin]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.__name__
    return {str: "string", float: "number", int: "number", bool: "bool"}[annotation]


def test_the_statuses_are_the_same_in_both(pool: descriptor_pool.DescriptorPool) -> None:
    enum = pool.FindEnumTypeByName("guerdon.v1.Status")
    assert [value.name for value in enum.values] == ["unspecified", *messages.STATUSES]


def test_there_is_an_example_for_every_message_that_is_a_whole_body() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.json")} == set(MESSAGE_OF)


@pytest.mark.parametrize("example", MESSAGE_OF)
def test_an_example_reads_the_same_as_proto3_json_and_as_pydantic(
    pool: descriptor_pool.DescriptorPool, example: str
) -> None:
    text = (EXAMPLES / f"{example}.json").read_text()
    model: type[BaseModel] = getattr(messages, MESSAGE_OF[example])
    proto = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"guerdon.v1.{MESSAGE_OF[example]}"))()
    json_format.Parse(text, proto, descriptor_pool=pool)
    through_proto = json_format.MessageToDict(
        proto, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, descriptor_pool=pool
    )
    assert model.model_validate(through_proto) == model.model_validate_json(text)


@pytest.mark.parametrize("example", MESSAGE_OF)
def test_what_pydantic_writes_proto3_json_reads(pool: descriptor_pool.DescriptorPool, example: str) -> None:
    model: type[BaseModel] = getattr(messages, MESSAGE_OF[example])
    written = model.model_validate_json((EXAMPLES / f"{example}.json").read_text()).model_dump_json()
    proto = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"guerdon.v1.{MESSAGE_OF[example]}"))()
    json_format.Parse(written, proto, descriptor_pool=pool)


@pytest.mark.parametrize(
    "body",
    [
        {"value": 0.0, "status": "timeout"},
        {"value": None, "status": "ok"},
        {"value": float("nan"), "status": "ok"},
        {"value": float("inf"), "status": "ok"},
        {"value": 1.0, "status": "fine"},
    ],
)
def test_a_score_is_a_finite_number_with_ok_or_null_with_a_failure(body: dict[str, typing.Any]) -> None:
    with pytest.raises(ValidationError):
        messages.Score.model_validate(body)


def test_unknown_fields_are_refused() -> None:
    body = json.loads((EXAMPLES / "score_request.json").read_text())
    body["items"][0]["completions"] = "a typo"
    with pytest.raises(ValidationError, match="completions"):
        messages.ScoreRequest.model_validate(body)
