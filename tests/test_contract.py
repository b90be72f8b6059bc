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
from guerdon import judge_messages, messages

PROTOS = Path(guerdon.__file__).parent / "v1"
EXAMPLES = Path(guerdon.__file__).parent / "examples"
MODELS_OF = {"reward.proto": messages, "judge.proto": judge_messages}
"""Which module says in pydantic what a .proto says."""
MESSAGE_OF = {
    "score_request": "ScoreRequest",
    "group_request": "ScoreRequest",
    "score_response": "ScoreResponse",
    "job": "Job",
    "job_accepted": "Job",
    "reward_list": "RewardList",
    "readiness": "Readiness",
    "refusal": "Refusal",
    "compare_request": "CompareRequest",
    "compare_response": "CompareResponse",
    "grade_request": "GradeRequest",
    "grade_response": "GradeResponse",
    "judge_list": "JudgeList",
    "budget_list": "BudgetList",
    "judge_readiness": "JudgeReadiness",
}


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> descriptor_pool.DescriptorPool:
    """Every .proto as protoc reads it."""
    out = tmp_path_factory.mktemp("proto") / "guerdon.pb"
    include = str(files("grpc_tools") / "_proto")
    options = [f"-I{PROTOS}", f"-I{include}", f"--descriptor_set_out={out}", "--include_imports"]
    status = protoc.main(["protoc", *options, *(str(PROTOS / name) for name in MODELS_OF)])
    assert status == 0
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file:
        pool.Add(file)
    return pool


def proto_messages(pool: descriptor_pool.DescriptorPool, file: str) -> dict[str, typing.Any]:
    return dict(pool.FindFileByName(file).message_types_by_name)


def models_in(module: types.ModuleType) -> dict[str, type[BaseModel]]:
    """The messages that a module itself defines, by name."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, messages.Message | messages.ChatMessage)
        and value.__module__ == module.__name__
        and value not in (messages.Message, messages.ChatMessage)
    }


MODELS = {name: model for module in MODELS_OF.values() for name, model in models_in(module).items()}


def test_every_proto_has_its_module() -> None:
    assert {path.name for path in PROTOS.glob("*.proto")} == set(MODELS_OF)


@pytest.mark.parametrize("file", MODELS_OF)
def test_every_message_of_the_proto_is_a_pydantic_model_and_the_other_way_round(
    pool: descriptor_pool.DescriptorPool, file: str
) -> None:
    assert models_in(MODELS_OF[file]).keys() == proto_messages(pool, file).keys()


@pytest.mark.parametrize("file", MODELS_OF)
def test_every_message_has_the_same_fields_in_both(pool: descriptor_pool.DescriptorPool, file: str) -> None:
    for name, descriptor in proto_messages(pool, file).items():
        assert list(MODELS[name].model_fields) == [field.name for field in descriptor.fields], name


@pytest.mark.parametrize("file", MODELS_OF)
def test_fields_have_the_same_shape_in_both(pool: descriptor_pool.DescriptorPool, file: str) -> None:
    for name, descriptor in proto_messages(pool, file).items():
        for field in descriptor.fields:
            annotation = MODELS[name].model_fields[field.name].annotation
            assert shape_of_annotation(annotation) == shape_of_field(field), f"{name}.{field.name}"


@pytest.mark.parametrize("file", MODELS_OF)
def test_a_field_that_may_be_null_is_optional_in_the_proto(pool: descriptor_pool.DescriptorPool, file: str) -> None:
    for name, descriptor in proto_messages(pool, file).items():
        for field in descriptor.fields:
            if type(None) in typing.get_args(MODELS[name].model_fields[field.name].annotation):
                assert field.has_presence, f"{name}.{field.name}"


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
    model: type[BaseModel] = MODELS[MESSAGE_OF[example]]
    proto = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"guerdon.v1.{MESSAGE_OF[example]}"))()
    json_format.Parse(text, proto, descriptor_pool=pool)
    through_proto = json_format.MessageToDict(
        proto, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, descriptor_pool=pool
    )
    assert model.model_validate(through_proto) == model.model_validate_json(text)


@pytest.mark.parametrize("example", MESSAGE_OF)
def test_what_pydantic_writes_proto3_json_reads(pool: descriptor_pool.DescriptorPool, example: str) -> None:
    model: type[BaseModel] = MODELS[MESSAGE_OF[example]]
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
