// What tests ask of deploy/device/mirrorset_parity.hpp beside what a phone does: JSON of any kind,
// and runs that are written as they must not be.
//
//     device_probe TEXT.json          print the text that the JSON is
//     device_probe HOW PACK OUT       write a run, wrong in the way HOW

#include <iostream>
#include <limits>
#include <string>
#include <vector>
#include "mirrorset_parity.hpp"
namespace parity = mirrorset::parity;

void misuse(const std::string& how, const parity::Pack& pack, const std::string& out) {
  parity::RunWriter run(pack, out, parity::Fed::images);
  const std::vector<float> points(136, 0.5F), presence(1, 1.0F);
  parity::Key key;
  key.model_sha256 = pack.net("marker").model_sha256;
  key.device = "caf\u00e9 \"x\\\n";
  key.delegated_share = 0.25;
  if (how == "unknown net") run.add_net("other", {key, "x"});
  run.add_net("marker", {key, "marker.tflite"});
  run.keep_transforms("marker");
  run.add_not_runnable("finder", {key, "finder.tflite", "no such operation"});
  const auto whole = [&](std::size_t item) {
    run.begin_item(item);
    run.put("marker", "points", points.data(), points.size());
    if (how != "lacks an output" || item != 2) run.put("marker", "presence", presence.data(), 1);
    run.put_transform("marker", {1, 0, 0.1, 0, 1, -3});
  };
  whole(3);
  whole(2);
  if (how == "item twice") whole(3);
  if (how == "wrong size") {
    run.begin_item(1);
    run.put("marker", "points", points.data(), 7);
  }
  if (how == "output twice") run.put("marker", "points", points.data(), points.size());
  if (how == "late net") run.add_net("finder", {key, "x"});
  if (how == "no time") run.took("marker", std::numeric_limits<double>::quiet_NaN());
  if (how == "no item") run.begin_item(99);
  if (how != "not finished") run.finish();
}

int main(int argc, char** argv) {
  try {
    if (argc == 2) {
      const std::string text = parity::detail::text_of(argv[1]);
      std::cout << parity::detail::JsonParser(text, "it").parse().text;
    } else {
      misuse(argv[1], parity::Pack(argv[2]), argv[3]);
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
