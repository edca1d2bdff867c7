// sources: base/reason.cpp
#include "check.h"

#include "base/reason.h"

using mofmd::is_out_of_memory;
using mofmd::reason_of;

namespace {

// As torch 2.13 says it.
const std::string FRAMES = R"(The following operation failed in the TorchScript interpreter.
Traceback of TorchScript, serialized code (most recent call last):
  File "code/__torch__.py", line 31, in forward
    if torch.eq(kind0, 1):
      _5 = torch.index_select(v, 0, torch.add(t, 100000))
           ~~~~~~~~~~~~~~~~~~ <--- HERE
      _4 = _5

Traceback of TorchScript, original code (most recent call last):
  File "make.py", line 16, in forward
            return torch.index_select(v, 0, t + 100000)
                   ~~~~~~~~~~~~~~~~~~ <--- HERE
        if self.kind == 2:
            return v @ v
)";

}    // namespace

TEST(the_interpreter_says_it_at_the_end)
{
  EQUAL(reason_of(FRAMES + "RuntimeError: index out of range in self\n"),
        "the model failed: index out of range in self");
  EQUAL(reason_of(FRAMES + "builtins.ValueError: too many atoms: 18\nread the manual\n"),
        "the model failed: ValueError: too many atoms: 18 read the manual");
  EQUAL(reason_of(FRAMES + "RuntimeError: KeyError: nothing\n"),
        "the model failed: KeyError: nothing");
}

TEST(an_interpreter_that_says_no_more_is_quoted)
{
  EQUAL(reason_of("The following operation failed in the TorchScript interpreter."),
        "The following operation failed in the TorchScript interpreter.");
}

TEST(the_compiler_says_it_at_the_beginning)
{
  EQUAL(reason_of("\nUnknown builtin op: mofmd::convoluted.\nIt may not exist.\n:\n"
                  "  File \"code/__torch__.py\", line 59\n            kind5 = self.kind\n"
                  "              ~~~~ <--- HERE\nSerialized   File \"code/x.py\", line 12\n"),
        "Unknown builtin op: mofmd::convoluted. It may not exist.");
  EQUAL(
      reason_of("expected ident but found ',' here:\n  File \"make.py\", line 18\n ~ <--- HERE\n"),
      "expected ident but found ',' here");
}

TEST(functions_of_torch_are_left_out)
{
  EQUAL(reason_of("the model is damaged\nException raised from f at f.cpp:1 (most recent call "
                  "first):\nframe #0: c10::Error::Error + 0x57 (0x7f)\n"),
        "the model is damaged");
  EQUAL(reason_of(FRAMES + "RuntimeError: no such atom\nException raised from f at f.cpp:1\n"),
        "the model failed: no such atom");
}

TEST(a_plain_sentence_stays)
{
  EQUAL(reason_of("the model file 'x.pth' is damaged: copy it again"),
        "the model file 'x.pth' is damaged: copy it again");
  EQUAL(reason_of("std::bad_alloc"), "std::bad_alloc");
  EQUAL(reason_of(""), "");
}

TEST(a_compiled_model_says_why_elsewhere)
{
  EQUAL(reason_of("run_func_(...) API call failed at runner.cpp, line 145"),
        "the compiled model failed, and wrote why to standard error (run_func_(...) API call "
        "failed at runner.cpp, line 145)");
}

TEST(memory)
{
  const std::string cpu = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: "
                          "can't allocate memory: you tried to allocate 140737488355328 bytes.";
  EQUAL(is_out_of_memory(reason_of(FRAMES + "RuntimeError: " + cpu)), true);
  EQUAL(is_out_of_memory("CUDA out of memory. Tried to allocate 2.00 GiB."), true);
  EQUAL(is_out_of_memory("std::bad_alloc"), true);
  EQUAL(is_out_of_memory("index out of range in self"), false);
}
