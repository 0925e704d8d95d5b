"""Chat templates of the shapes in which model families write calls of tools, each as short as it can be."""

from __future__ import annotations

_CHATML = (
    "{% if tools %}<|im_start|>system\nTools: {{ tools | tojson }}<|im_end|>\n{% endif %}{% for m in messages %}"
    "<|im_start|>{{ m.role }}\n{{ m.content or '' }}@@<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_EACH = "{% for c in m.tool_calls or [] %}{% set f = c.function %}ONE{% endfor %}"


def _chatml(one: str) -> str:
    return _CHATML.replace("@@", _EACH.replace("ONE", one))


SHAPES = {
    "hermes": _chatml(
        '<tool_call>\n{"name": {{ f.name | tojson }}, "arguments": {{ f.arguments | tojson }}}\n</tool_call>'
    ),
    "bare json": _chatml('{"name": {{ f.name | tojson }}, "parameters": {{ f.arguments | tojson }}}'),
    "openai json": _chatml(
        "<call>{{ {'type': 'function', 'function': {'name': f.name, 'arguments': f.arguments}} | tojson }}</call>"
    ),
    "json in a string": _chatml("<call>{{ {'name': f.name, 'arguments': f.arguments | tojson} | tojson }}</call>"),
    "mistral": (
        "{% if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}{% for m in messages %}"
        "{% if m.role == 'user' %}[INST] {{ m.content }}[/INST]{% elif m.role == 'system' %}"
        "{{ raise_exception('only user and assistant') }}"
        "{% elif m.tool_calls %}[TOOL_CALLS] [{% for c in m.tool_calls %}"
        "{% if c.id | length != 9 %}{{ raise_exception('nine') }}{% endif %}"
        '{"name": {{ c.function.name | tojson }}, "arguments": {{ c.function.arguments | tojson }}, "id": "{{ c.id }}"}'
        "{{ ', ' if not loop.last }}{% endfor %}]<|im_end|>"
        '{% elif m.role == \'tool\' %}[TOOL_RESULTS] {"content": {{ m.content | tojson }}, "id": {{ m.tool_call_id }}}'
        "[/TOOL_RESULTS]{% else %} {{ m.content }}<|im_end|>{% endif %}{% endfor %}"
    ),
    "mistral 11": _chatml("[TOOL_CALLS]{{ f.name }}[ARGS]{{ f.arguments | tojson }}"),
    "deepseek": _CHATML.replace(
        "@@",
        "{% if m.tool_calls %}<|calls_begin|>{% for c in m.tool_calls %}<|call_begin|>{{ c.type }}<|sep|>"
        "{{ c.function.name }}\n```json\n{{ c.function.arguments + '' }}\n```<|call_end|>{{ '\n' if not loop.last }}"
        "{% endfor %}<|calls_end|>{% endif %}",
    ),
    "functionary": _chatml("<function={{ f.name }}>{{ f.arguments | tojson }}</function>"),
    "functionary 3": _chatml(">>>{{ f.name }}\n{{ f.arguments | tojson }}"),
    "granite": _CHATML.replace(
        "@@",
        "{% if m.tool_calls %}<|tool_call|>[{% for c in m.tool_calls %}{{ {'name': c.function.name, "
        "'arguments': c.function.arguments} | tojson }}{{ ', ' if not loop.last }}{% endfor %}]{% endif %}",
    ),
    "cohere": _CHATML.replace(
        "@@",
        "{% if m.tool_calls %}Action: ```json\n[{% for c in m.tool_calls %}{{ {'tool_name': c.function.name, "
        "'parameters': c.function.arguments} | tojson }}{{ ',\n' if not loop.last }}{% endfor %}]```{% endif %}",
    ),
    "marks": _chatml(
        "<tool_call>\n<function={{ f.name }}>\n{% for k, v in f.arguments.items() %}<parameter={{ k }}>\n"
        "{{ v if v is string else v | tojson }}\n</parameter>\n{% endfor %}</function>\n</tool_call>"
    ),
    "python": _CHATML.replace(
        "@@",
        "{% if m.tool_calls %}<|calls|>[{% for c in m.tool_calls %}{{ c.function.name }}({% for k, v in "
        "c.function.arguments.items() %}{{ k }}={{ v | tojson if v is string else v }}{{ ', ' if not loop.last }}"
        "{% endfor %}){{ ', ' if not loop.last }}{% endfor %}]<|end_calls|>{% endif %}",
    ),
    "bare python": _CHATML.replace(
        "@@",
        "{% if m.tool_calls %}[{% for c in m.tool_calls %}{{ c.function.name }}({% for k, v in "
        "c.function.arguments.items() %}{{ k }}={{ v | tojson if v is string else v }}{{ ', ' if not loop.last }}"
        "{% endfor %}){{ ', ' if not loop.last }}{% endfor %}]{% endif %}",
    ),
    "one at a time": _chatml(
        "{% if m.tool_calls | length > 1 %}{{ raise_exception('one') }}{% endif %}"
        '{"name": {{ f.name | tojson }}, "parameters": {{ f.arguments | tojson }}}'
    ),
}
MARKS = (
    "[INST]",
    "[/INST]",
    "[TOOL_CALLS]",
    "[ARGS]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "<|tool_call|>",
    "<|calls_begin|>",
    "<|call_begin|>",
    "<|sep|>",
    "<|call_end|>",
    "<|calls_end|>",
    "<|calls|>",
    "<|end_calls|>",
    "<|python_tag|>",
)
WITHOUT = {
    "no tools": _CHATML.replace(
        "{% if tools %}<|im_start|>system\nTools: {{ tools | tojson }}<|im_end|>\n{% endif %}", ""
    ),
    "tools are printed alone": _CHATML.replace("@@", ""),
    "names are printed alone": _chatml("calling {{ f.name }}"),
    "results are rejected": _chatml("<call>{{ f | tojson }}</call>").replace(
        "{% for m in messages %}",
        "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no') }}{% endif %}",
    ),
    "results are left out": _chatml("<call>{{ f | tojson }}</call>").replace(
        "{{ m.content or '' }}", "{{ (m.content or '') if m.role != 'tool' }}"
    ),
}
