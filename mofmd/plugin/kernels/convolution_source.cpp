// See convolution_source.h.

#include "kernels/convolution_source.h"

#include "base/numbers.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace mofmd {

namespace {

  constexpr std::int64_t threads_of_a_warp = 32;

  std::string text_of(std::int64_t number)
  {
    return std::to_string(number);
  }

  std::string text_of(double number)
  {
    return "real(" + to_text(number) + ")";
  }

  // A nonzero coupling of a path.
  struct Coupling {
    std::int64_t m1, m2, m3;
    double value;
  };

  // A path, and the names of its numbers in the text.
  struct WrittenPath {
    ConvolutionPath of;
    std::int64_t number;
    std::vector<Coupling> couplings;

    std::string x(std::int64_t m1) const { return "x" + text_of(of.x) + "_" + text_of(m1); }
    std::string y(std::int64_t m2) const { return "y" + text_of(of.y + m2); }
    std::string w() const { return own("w"); }
    std::string own(const char *letter) const { return letter + text_of(number); }
    std::string own(const char *letter, std::int64_t a) const
    {
      return own(letter) + "_" + text_of(a);
    }
    std::string own(const char *letter, std::int64_t a, std::int64_t b) const
    {
      return own(letter, a) + "_" + text_of(b);
    }
    // The sum of coupling * name(coupling) over those that `holds` picks; empty if it picks none.
    template <typename Holds, typename Name> std::string sum(Holds holds, Name name) const
    {
      std::string text;
      for (const Coupling &c : couplings)
        if (holds(c)) text += (text.empty() ? "" : " + ") + text_of(c.value) + " * " + name(c);
      return text;
    }
  };

  using Group = std::vector<WrittenPath>;    // paths of the same number of channels

  class Kernels {
  public:
    Kernels(const ConvolutionShape &shape, const double *couplings) : shape_(shape)
    {
      const double *value = couplings;
      std::int64_t number = 0;
      for (const ConvolutionPath &path : shape.paths) {
        WrittenPath written{path, number++, {}};
        for (std::int64_t m1 = 0; m1 < path.d1; ++m1)
          for (std::int64_t m2 = 0; m2 < path.d2; ++m2)
            for (std::int64_t m3 = 0; m3 < path.d3; ++m3, ++value)
              if (*value != 0.0) {
                written.couplings.push_back({m1, m2, m3, *value});
                used_y_.insert(path.y + m2);
              }
        groups_[path.channels].push_back(std::move(written));
      }
    }

    std::string write()
    {
      write_forward();
      write_backward();
      return std::move(text_);
    }

  private:
    const ConvolutionShape &shape_;
    std::map<std::int64_t, Group> groups_;
    std::set<std::int64_t> used_y_;
    std::string text_;

    void line(const std::string &text) { text_ += text + "\n"; }

    // Calls act(m3) for the components of the result that have a coupling.
    template <typename Act> static void for_results(const WrittenPath &path, Act act)
    {
      for (std::int64_t m3 = 0; m3 < path.of.d3; ++m3)
        if (std::any_of(path.couplings.begin(), path.couplings.end(),
                        [m3](const Coupling &c) { return c.m3 == m3; }))
          act(m3);
    }

    // Calls act(path, m1) once for each component of x that is used in a group.
    template <typename Act> static void for_features(const Group &group, Act act)
    {
      std::set<std::string> done;
      for (const WrittenPath &path : group)
        for (const Coupling &c : path.couplings)
          if (done.insert(path.x(c.m1)).second) act(path, c.m1);
    }

    std::string column(const char *index, std::int64_t width, std::int64_t offset,
                       std::int64_t dimension, std::int64_t component) const
    {
      return "[" + std::string(index) + " * " + text_of(width) + " + " +
             text_of(offset + component) + " + u * " + text_of(dimension) + "]";
    }

    void write_edges(const char *arguments)
    {
      line(std::string("(") + arguments +
           ", const long long *centres, const long long *neighbours,\n"
           " long long num_nodes, long long num_edges, long long edges_each)\n{");
      line("const long long first = team() * edges_each;");
      line("const long long past = first + edges_each < num_edges ? first + edges_each : "
           "num_edges;");
    }

    void read_edge()
    {
      line("const long long j = neighbours[e];");
      line("if (j < 0 || j >= num_nodes || centre < 0 || centre >= num_nodes) stop();");
      for (const std::int64_t m : used_y_)
        line("const real y" + text_of(m) + " = y[e * " + text_of(shape_.y_width) + " + " +
             text_of(m) + "];");
    }

    void read_features(const Group &group)
    {
      for_features(group, [this](const WrittenPath &path, std::int64_t m1) {
        line("const real " + path.x(m1) + " = x" +
             column("j", shape_.x_width, path.of.x, path.of.d1, m1) + ";");
      });
      for (const WrittenPath &path : group)
        line("const real " + path.w() + " = w" + column("e", shape_.w_width, path.of.w, 1, 0) +
             ";");
    }

    // out[i, u, m3] += w x y C
    void write_forward()
    {
      text_ += "KERNEL forward";
      write_edges("const real *x, const real *y, const real *w, real *out");
      line("const long long u = lane() + TEAM * channel_block();");
      line("long long centre = -1;");
      for (const auto &[channels, group] : groups_)
        for (const WrittenPath &path : group)
          for_results(path, [&](std::int64_t m3) { line("real " + path.own("a", m3) + " = 0;"); });
      line("const auto hand_over = [&] {");
      for (const auto &[channels, group] : groups_) {
        line("if (u < " + text_of(channels) + ") {");
        for (const WrittenPath &path : group)
          for_results(path, [&](std::int64_t m3) {
            const std::string sum = path.own("a", m3);
            line("add(&out" + column("centre", shape_.out_width, path.of.out, path.of.d3, m3) +
                 ", " + sum + "); " + sum + " = 0;");
          });
        line("}");
      }
      line("};");
      line("for (long long e = first; e < past; ++e) {");
      line("if (centres[e] != centre) {\nif (centre >= 0) hand_over();\ncentre = centres[e];\n}");
      read_edge();
      for (const auto &[channels, group] : groups_) {
        line("if (u < " + text_of(channels) + ") {");
        read_features(group);
        std::set<std::string> products;
        const auto product = [](const WrittenPath &path, const Coupling &c) {
          return path.x(c.m1) + path.y(c.m2);
        };
        for (const WrittenPath &path : group)
          for (const Coupling &c : path.couplings)
            if (products.insert(product(path, c)).second)
              line("const real " + product(path, c) + " = " + path.x(c.m1) + " * " + path.y(c.m2) +
                   ";");
        for (const WrittenPath &path : group)
          for_results(path, [&](std::int64_t m3) {
            line(path.own("a", m3) + " += " + path.w() + " * (" +
                 path.sum([&](const Coupling &c) { return c.m3 == m3; },
                          [&](const Coupling &c) { return product(path, c); }) +
                 ");");
          });
        line("}");
      }
      line("}\nif (centre >= 0) hand_over();\n}");
    }

    // With g = dE/d(out): dE/dx[j, u, m1] += w y C g, dE/dy[e, m2] = w x C g, dE/dw[e, u] = x y C g
    void write_backward()
    {
      text_ += "KERNEL backward";
      write_edges("const real *g, const real *x, const real *y, const real *w,\n"
                  " real *dx, real *dy, real *dw");
      line("for (long long e = first; e < past; ++e) {\nconst long long centre = centres[e];");
      read_edge();
      for (const std::int64_t m : used_y_) line("real dy" + text_of(m) + " = 0;");
      line("for (long long u = lane(); u < " + text_of(shape_.most_channels()) + "; u += TEAM) {");
      for (const auto &[channels, group] : groups_) {
        line("if (u < " + text_of(channels) + ") {");
        read_features(group);
        for_features(group, [this](const WrittenPath &path, std::int64_t m1) {
          line("real d" + path.x(m1) + " = 0;");
        });
        for (const WrittenPath &path : group) write_path_backward(path);
        for_features(group, [this](const WrittenPath &path, std::int64_t m1) {
          line("add(&dx" + column("j", shape_.x_width, path.of.x, path.of.d1, m1) + ", d" +
               path.x(m1) + ");");
        });
        line("}");
      }
      line("}");
      for (const std::int64_t m : used_y_)
        line("dy" + text_of(m) + " = team_sum(dy" + text_of(m) + ");");
      line("if (lane() == 0) {");
      for (std::int64_t m = 0; m < shape_.y_width; ++m)
        line("dy[e * " + text_of(shape_.y_width) + " + " + text_of(m) +
             "] = " + (used_y_.count(m) ? "dy" + text_of(m) : std::string("0")) + ";");
      line("}\n}\n}");
    }

    void write_path_backward(const WrittenPath &path)
    {
      for_results(path, [&](std::int64_t m3) {
        line("const real " + path.own("g", m3) + " = g" +
             column("centre", shape_.out_width, path.of.out, path.of.d3, m3) + ";");
      });
      std::set<std::string> products;
      for (const Coupling &c : path.couplings) {
        const std::string yg = path.own("q", c.m2, c.m3), xg = path.own("r", c.m1, c.m3);
        if (products.insert(yg).second)
          line("const real " + yg + " = " + path.y(c.m2) + " * " + path.own("g", c.m3) + ";");
        if (products.insert(xg).second)
          line("const real " + xg + " = " + path.x(c.m1) + " * " + path.own("g", c.m3) + ";");
      }
      std::string of_w;
      for (std::int64_t m1 = 0; m1 < path.of.d1; ++m1) {
        const std::string sum =
            path.sum([&](const Coupling &c) { return c.m1 == m1; },
                     [&](const Coupling &c) { return path.own("q", c.m2, c.m3); });
        if (sum.empty()) continue;
        line("const real " + path.own("s", m1) + " = " + sum + ";");
        line("d" + path.x(m1) + " += " + path.w() + " * " + path.own("s", m1) + ";");
        of_w += (of_w.empty() ? "" : " + ") + path.x(m1) + " * " + path.own("s", m1);
      }
      line("dw" + column("e", shape_.w_width, path.of.w, 1, 0) + " = " +
           (of_w.empty() ? "0" : of_w) + ";");
      for (std::int64_t m2 = 0; m2 < path.of.d2; ++m2) {
        const std::string sum =
            path.sum([&](const Coupling &c) { return c.m2 == m2; },
                     [&](const Coupling &c) { return path.own("r", c.m1, c.m3); });
        if (!sum.empty()) line("d" + path.y(m2) + " += " + path.w() + " * (" + sum + ");");
      }
    }
  };

}    // namespace

std::int64_t team_size(const ConvolutionShape &shape)
{
  std::int64_t size = 1;
  while (size < std::min(shape.most_channels(), threads_of_a_warp)) size *= 2;
  return size;
}

std::string convolution_source(const ConvolutionShape &shape, const double *couplings)
{
  return Kernels(shape, couplings).write();
}

}    // namespace mofmd
