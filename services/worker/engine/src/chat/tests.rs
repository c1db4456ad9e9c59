//! What published templates do, and what they must not be able to do.

use std::collections::BTreeMap;

use super::*;

const SMOLLM: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ \
    '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}\
    {{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

fn message(role: &str, content: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([("role", role.to_owned()), ("content", content.to_owned())])
}

fn rendering(add_generation_prompt: bool) -> Rendering {
    Rendering { add_generation_prompt, now: "2026-11-22T10:00:00+00:00[UTC]".parse().unwrap() }
}

fn render(source: &str, messages: &[BTreeMap<&'static str, String>]) -> Result<String, Error> {
    let tokens = TemplateTokens { bos: Some("<s>".to_owned()), eos: Some("</s>".to_owned()) };
    Template::new(source, tokens)?.render(messages, &rendering(true))
}

#[test]
fn a_conversation_is_written_out() {
    let text = render(SMOLLM, &[message("user", "hi <b> & 'you'")]).unwrap();
    let expected = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n\
        <|im_start|>user\nhi <b> & 'you'<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(text, expected);
    let template = Template::new(SMOLLM, TemplateTokens::default()).unwrap();
    let text = template.render(&[message("system", "s"), message("user", "u")], &rendering(false)).unwrap();
    assert_eq!(text, "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nu<|im_end|>\n");
}

#[test]
fn a_template_may_refuse_a_conversation() {
    let source = "{% for m in messages %}{% if m.role not in ['user', 'assistant'] %}\
        {{ raise_exception('Conversation roles must alternate user/assistant, not ' + m.role) }}{% endif %}{% endfor %}";
    let refused = render(source, &[message("tool", "x")]).unwrap_err();
    assert_eq!(
        refused,
        Error::Refused("Conversation roles must alternate user/assistant, not tool".to_owned())
    );
    assert_eq!(render(source, &[message("user", "x")]).unwrap(), "");
}

#[test]
fn python_methods_and_special_tokens_work() {
    let source = "{{ bos_token }}{% for m in messages %}{{ m['content'].strip().split(',')[0] | upper }}{% endfor %}{{ eos_token }}";
    assert_eq!(render(source, &[message("user", "  a,b ")]).unwrap(), "<s>A</s>");
    assert_eq!(render("{{ messages[0].get('name', 'none') }}", &[message("user", "")]).unwrap(), "none");
    assert_eq!(
        render("{% if tools is not none %}tools{% endif %}{{ undefined_thing }}", &[message("user", "")])
            .unwrap(),
        ""
    );
}

#[test]
fn blocks_are_trimmed_as_transformers_trims_them() {
    let source = "{%- for m in messages %}\n    {%- if true %}\n        {{- m.content }}\n    {%- endif %}\n{%- endfor %}\n{% if true %}\nx\n{% endif %}\n";
    assert_eq!(render(source, &[message("user", "a"), message("user", "b")]).unwrap(), "abx\n");
}

#[test]
fn json_is_pythons() {
    let source = "{{ messages[0] | tojson }} {{ {'a': [1, 2.5, none, true], 'b': '<é>'} | tojson(ensure_ascii=False) }}\n\
        {{ {'a': [1]} | tojson(indent=4) }}";
    let expected = "{\"content\": \"'<x>'\", \"role\": \"user\"} {\"a\": [1, 2.5, null, true], \"b\": \"<é>\"}\n\
        {\n    \"a\": [\n        1\n    ]\n}";
    assert_eq!(render(source, &[message("user", "'<x>'")]).unwrap(), expected);
}

#[test]
fn now_is_what_the_caller_says() {
    assert_eq!(render("{{ strftime_now('%d %b %Y') }}", &[message("user", "")]).unwrap(), "22 Nov 2026");
    assert!(matches!(render("{{ strftime_now('%!') }}", &[message("user", "")]), Err(Error::Failed(_))));
}

#[test]
fn generation_marks_change_no_text() {
    let source = "{% for m in messages %}a {%- generation -%} {{ m.content }} {%- endgeneration -%} b{% generation %}c{% endgeneration %}{% endfor %}";
    assert_eq!(render(source, &[message("user", "x")]).unwrap(), "axbc");
}

#[test]
fn a_bad_template_is_named_by_line() {
    let error = render("fine\n{% if %}", &[message("user", "")]).unwrap_err();
    assert!(matches!(&error, Error::Syntax(text) if text.starts_with("line 2: ")), "{error}");
}

#[test]
fn a_template_cannot_run_for_ever() {
    let source =
        "{% for a in range(99999) %}{% for b in range(99999) %}{% set c = a * b %}{% endfor %}{% endfor %}";
    assert!(
        matches!(render(source, &[message("user", "")]), Err(Error::Failed(text)) if text.contains("fuel"))
    );
}

#[test]
fn a_template_reads_no_files() {
    assert!(render("{% include '/etc/hostname' %}", &[message("user", "")]).is_err());
}
