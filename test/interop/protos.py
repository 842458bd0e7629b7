"""Message classes from schemas/*.proto, made when they are asked for.

The compiler is not everywhere, so the files are read here: proto3 with messages, enums, maps, imports and services, which
is all that they use. What encodes and decodes is Google's own runtime, not anything of this project.
"""

import os
import re

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELD = descriptor_pb2.FieldDescriptorProto
SCALARS = {
    "double": FIELD.TYPE_DOUBLE,
    "float": FIELD.TYPE_FLOAT,
    "int64": FIELD.TYPE_INT64,
    "uint64": FIELD.TYPE_UINT64,
    "int32": FIELD.TYPE_INT32,
    "uint32": FIELD.TYPE_UINT32,
    "sint32": FIELD.TYPE_SINT32,
    "sint64": FIELD.TYPE_SINT64,
    "fixed32": FIELD.TYPE_FIXED32,
    "fixed64": FIELD.TYPE_FIXED64,
    "bool": FIELD.TYPE_BOOL,
    "string": FIELD.TYPE_STRING,
    "bytes": FIELD.TYPE_BYTES,
}


class Protos:
    """All files of a folder in one pool."""

    def __init__(self, folder):
        self._pool = descriptor_pool.DescriptorPool()
        # "/package.Service/Method" -> (request class, response class, whether the answer is a stream)
        self.methods = {}
        files = [read_file(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".proto")]
        added = set()
        while files:
            ready = [file for file in files if set(file.dependency) <= added]
            if not ready:
                raise ValueError("imports of the schemas go in a circle")
            for file in ready:
                self._pool.Add(file) if hasattr(self._pool, "Add") else self._pool.AddSerializedFile(
                    file.SerializeToString()
                )
                added.add(file.name)
                files.remove(file)
                self._note_services(file)

    def message(self, name):
        """The class of a message by its full name: metastore.v1.BlockMeta."""
        descriptor = self._pool.FindMessageTypeByName(name)
        if hasattr(message_factory, "GetMessageClass"):
            return message_factory.GetMessageClass(descriptor)
        return message_factory.MessageFactory(self._pool).GetPrototype(descriptor)

    def _note_services(self, file):
        for service in file.service:
            for method in service.method:
                full_name = "/%s.%s/%s" % (file.package, service.name, method.name)
                self.methods[full_name] = (
                    self.message(resolved(file, method.input_type)),
                    self.message(resolved(file, method.output_type)),
                    method.server_streaming,
                )


def resolved(file, name):
    return name[1:] if name.startswith(".") else "%s.%s" % (file.package, name)


def read_file(folder, name):
    with open(os.path.join(folder, name), encoding="utf8") as source:
        text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", source.read(), flags=re.S)
    return Parser(name, re.findall(r'"[^"]*"|[\w.]+|[^\s\w]', text)).file


class Parser:
    """One file. A type that is named by a single word is looked for by the pool, from the inside to the outside."""

    def __init__(self, name, tokens):
        self._tokens = tokens
        self._at = 0
        self.file = descriptor_pb2.FileDescriptorProto(name=name, syntax="proto3")
        while self._at < len(tokens):
            self._read_statement()
        resolve_types(self.file)

    def _next(self):
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, wanted):
        found = self._next()
        if found != wanted:
            raise ValueError("%s: expected %s, found %s" % (self.file.name, wanted, found))

    def _skip_to(self, end):
        while self._next() != end:
            pass

    def _read_statement(self):
        word = self._next()
        if word == "package":
            self.file.package = self._next()
            self._expect(";")
        elif word == "import":
            self.file.dependency.append(self._next().strip('"'))
            self._expect(";")
        elif word == "message":
            self._read_message(self.file.message_type.add())
        elif word == "enum":
            self._read_enum(self.file.enum_type.add())
        elif word == "service":
            self._read_service(self.file.service.add())
        else:
            self._skip_to(";")

    def _read_message(self, message):
        message.name = self._next()
        self._expect("{")
        while True:
            word = self._next()
            if word == "}":
                return
            if word == "message":
                self._read_message(message.nested_type.add())
            elif word == "enum":
                self._read_enum(message.enum_type.add())
            elif word in ("reserved", "option"):
                self._skip_to(";")
            elif word == "map":
                self._read_map(message)
            else:
                repeated = word == "repeated"
                kind = self._next() if word in ("repeated", "optional") else word
                self._read_field(message.field.add(), kind, repeated)

    def _read_field(self, field, kind, repeated):
        field.name = self._next()
        self._expect("=")
        field.number = int(self._next())
        self._skip_to(";")
        field.label = FIELD.LABEL_REPEATED if repeated else FIELD.LABEL_OPTIONAL
        set_type(field, kind)

    def _read_map(self, message):
        self._expect("<")
        key = self._next()
        self._expect(",")
        value = self._next()
        self._expect(">")
        entry = message.nested_type.add()
        entry.options.map_entry = True
        field = message.field.add()
        self._read_field(field, "", True)
        entry.name = "".join(word.capitalize() for word in field.name.split("_")) + "Entry"
        field.type = FIELD.TYPE_MESSAGE
        field.type_name = entry.name
        for number, (name, kind) in enumerate((("key", key), ("value", value)), 1):
            part = entry.field.add(name=name, number=number, label=FIELD.LABEL_OPTIONAL)
            set_type(part, kind)

    def _read_enum(self, enum):
        enum.name = self._next()
        self._expect("{")
        while True:
            word = self._next()
            if word == "}":
                return
            if word in ("reserved", "option"):
                self._skip_to(";")
                continue
            self._expect("=")
            enum.value.add(name=word, number=int(self._next()))
            self._skip_to(";")

    def _read_service(self, service):
        service.name = self._next()
        self._expect("{")
        while self._next() == "rpc":
            method = service.method.add(name=self._next())
            method.input_type, method.client_streaming = self._read_operand()
            self._expect("returns")
            method.output_type, method.server_streaming = self._read_operand()
            if self._next() == "{":
                self._skip_to("}")

    def _read_operand(self):
        self._expect("(")
        word = self._next()
        is_stream = word == "stream"
        if is_stream:
            word = self._next()
        self._expect(")")
        return word, is_stream


def set_type(field, kind):
    if kind in SCALARS:
        field.type = SCALARS[kind]
    elif kind != "":
        field.type_name = kind


def resolve_types(file):
    """Full names where a type stands in the same file: the pool does not look for relative ones."""
    known = {}

    def collect(messages, prefix):
        for message in messages:
            name = "%s.%s" % (prefix, message.name)
            known[name] = FIELD.TYPE_MESSAGE
            known.update({"%s.%s" % (name, enum.name): FIELD.TYPE_ENUM for enum in message.enum_type})
            collect(message.nested_type, name)

    collect(file.message_type, file.package)
    known.update({"%s.%s" % (file.package, enum.name): FIELD.TYPE_ENUM for enum in file.enum_type})

    def resolve(messages, prefix):
        for message in messages:
            scope = "%s.%s" % (prefix, message.name)
            for field in message.field:
                if field.type_name != "":
                    resolve_field(field, scope)
            resolve(message.nested_type, scope)

    def resolve_field(field, scope):
        parts = scope.split(".")
        for depth in range(len(parts), -1, -1):
            name = ".".join(parts[:depth] + [field.type_name])
            if name in known:
                field.type_name = "." + name
                field.type = known[name]
                return
        # Of another file, by its full name; those are messages.
        field.type_name = "." + field.type_name
        field.type = FIELD.TYPE_MESSAGE

    resolve(file.message_type, file.package)
