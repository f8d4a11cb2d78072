# Prints what gdb tells of every thread's frames as JSON. Run by `gdb -batch -nx -p PID -x truth.py`.
import json
import re
import gdb

for setting in ("pagination off", "backtrace past-main on", "print entry-values both", "debuginfod enabled off", "print static-members off"):
    try:
        gdb.execute("set " + setting)
    except gdb.error:
        pass

MAX_DEPTH = 6
MAX_ELEMENTS = 64
CHARACTERS = ("char", "signed char", "unsigned char")


def text_of(value):
    data = b""
    try:
        memory = gdb.selected_inferior()
        address = int(value)
        while len(data) < 256:
            byte = bytes(memory.read_memory(address + len(data), 1))
            if byte == b"\0":
                break
            data += byte
        return data.decode("utf-8", "backslashreplace")
    except (gdb.MemoryError, gdb.error):
        return None


def counted(pointer, length):
    memory = gdb.selected_inferior().read_memory(int(pointer), length) if length > 0 else b""
    return bytes(memory).decode("utf-8", "backslashreplace")


def language():
    try:
        return gdb.selected_frame().language()
    except (AttributeError, gdb.error):
        return ""


def whole(value, type_):
    if type_.sizeof <= 8:
        return str(int(value))
    if value.address is None:
        return str(value)
    raw = bytes(gdb.selected_inferior().read_memory(int(value.address), type_.sizeof))
    return str(int.from_bytes(raw, "little", signed=not str(type_).startswith(("u", "__int128 unsigned"))))


def told(value, depth=0):
    try:
        if value.is_optimized_out:
            return {"none": "optimized out"}
        type_ = value.type.strip_typedefs().unqualified()
        code = type_.code
        if depth > MAX_DEPTH:
            return {"none": "deep"}
        if code in (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF):
            return told(value.referenced_value(), depth + 1)
        if code == gdb.TYPE_CODE_BOOL or code in (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_CHAR):
            return {"integer": whole(value, type_)}
        if code == gdb.TYPE_CODE_ENUM:
            return {"integer": str(int(value)), "name": str(value)}
        if code == gdb.TYPE_CODE_FLT:
            return {"float": repr(float(value)), "text": str(value)}
        if code == gdb.TYPE_CODE_PTR:
            target = type_.target().strip_typedefs()
            if "synthetic pointer" in value.format_string():
                return {"none": "synthetic pointer"}
            answer = {"pointer": hex(int(value) & 0xFFFFFFFFFFFFFFFF)}
            if target.unqualified().name in CHARACTERS:
                answer["text"] = text_of(value)
            return answer
        if code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            if value.format_string(raw=True) == "<incomplete type>":
                return {"none": "incomplete"}
            named = str(type_)
            if named.startswith("std::__cxx11::basic_string<char,"):
                return {"text": counted(value["_M_dataplus"]["_M_p"], int(value["_M_string_length"]))}
            if named == "&str":
                return {"text": counted(value["data_ptr"], int(value["length"]))}
            if named.startswith("&["):
                count = min(int(value["length"]), MAX_ELEMENTS)
                return {"elements": [told((value["data_ptr"] + i).dereference(), depth + 1) for i in range(count)]}
            members = []
            for field in type_.fields():
                if not hasattr(field, "bitpos") or field.artificial:
                    continue
                members.append([field.name, told(value[field], depth + 1)])
            return {"members": members, "type": str(type_), "shown": value.format_string(raw=True)[:2000]}
        if code == gdb.TYPE_CODE_ARRAY:
            low, high = type_.range()
            return {"elements": [told(value[i], depth + 1) for i in range(low, min(high, low + MAX_ELEMENTS - 1) + 1)]}
        return {"none": "type code %d" % code}
    except (gdb.error, gdb.MemoryError, RuntimeError, OverflowError) as error:
        return {"none": str(error)}


def arguments(frame):
    function = frame.function()
    if function is None:
        return []
    try:
        block = frame.block()
    except RuntimeError:
        return []
    while block is not None and block.function is None:
        block = block.superblock
    found = []
    for symbol in block or []:
        if not symbol.is_argument:
            continue
        frame.select()
        if language() == "rust" and optimised and FRAGILE.search(str(symbol.type)):
            found.append({"name": symbol.name, "type": str(symbol.type), "current": {"none": "gdb may fail"}, "entry": {"none": "gdb may fail"}})
            continue
        try:
            current = told(symbol.value(frame))
        except (gdb.error, gdb.MemoryError, RuntimeError) as error:
            current = {"none": str(error)}
        try:
            entry = told(gdb.parse_and_eval(symbol.name + "@entry"))
        except (gdb.error, gdb.MemoryError, RuntimeError) as error:
            entry = {"none": str(error)}
        found.append({"name": symbol.name, "type": str(symbol.type), "current": current, "entry": entry})
    return found


# gdb 13 gives up altogether on enums that are not whole in memory.
FRAGILE = re.compile("Option<|Result<|Order")
optimised = "level=0" not in gdb.current_progspace().filename

KINDS = {gdb.NORMAL_FRAME: "normal", gdb.INLINE_FRAME: "inline", gdb.TAILCALL_FRAME: "tailcall", gdb.SIGTRAMP_FRAME: "signal"}

threads = {}
for thread in gdb.selected_inferior().threads():
    thread.switch()
    frames = []
    frame = gdb.newest_frame()
    while frame is not None and len(frames) < 300:
        sal = frame.find_sal()
        function = frame.function()
        frames.append(
            {
                "pc": hex(frame.pc()),
                "kind": KINDS.get(frame.type(), "other"),
                "name": frame.name(),
                "file": sal.symtab.filename if sal.symtab else None,
                "line": sal.line,
                "arguments": arguments(frame),
            }
        )
        try:
            frame = frame.older()
        except gdb.error:
            break
    threads[thread.ptid[1]] = {"frames": frames, "reason": frame is None}
print("TRUTH " + json.dumps(threads))
