// Classify an image by an ONNX export that takes images of any size:
//   classify EXPORT_FOLDER IMAGE.ppm
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

struct Image {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::vector<std::uint8_t> pixels;  // RGB, row by row, upright
};

// PPM needs no library. Any decoder does that gives RGB bytes: stb_image, or OpenCV after a conversion from BGR.
Image read_ppm(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string kind;
  int largest = 0;
  Image image;
  file >> kind >> image.width >> image.height >> largest;
  file.get();
  if (!file || kind != "P6" || largest != 255 || image.width < 1 || image.height < 1) {
    throw std::runtime_error(path.string() + ": expected a PPM file (P6) of 8 bits");
  }
  image.pixels.resize(static_cast<std::size_t>(3 * image.width * image.height));
  if (!file.read(reinterpret_cast<char*>(image.pixels.data()), static_cast<std::streamsize>(image.pixels.size()))) {
    throw std::runtime_error(path.string() + ": expected more pixels");
  }
  return image;
}

std::vector<std::string> read_lines(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

class Classifier {
 public:
  explicit Classifier(const std::filesystem::path& folder)
      : labels_(read_lines(folder / "labels.txt")),
        session_(environment_, (folder / "model.onnx").c_str(), Ort::SessionOptions()) {}

  // Returns the probability of each class, in the order of the labels.
  std::vector<float> probabilities(Image& image) {
    const std::array<std::int64_t, 3> shape{image.height, image.width, 3};
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const auto input = Ort::Value::CreateTensor<std::uint8_t>(
        memory, image.pixels.data(), image.pixels.size(), shape.data(), shape.size());
    const char* const inputs[] = {"image"};
    const char* const outputs[] = {"probabilities"};
    const auto results = session_.Run(Ort::RunOptions(), inputs, &input, 1, outputs, 1);
    const float* values = results.front().GetTensorData<float>();
    return std::vector<float>(values, values + labels_.size());
  }

  const std::vector<std::string>& labels() const { return labels_; }

 private:
  Ort::Env environment_{ORT_LOGGING_LEVEL_ERROR};
  std::vector<std::string> labels_;
  Ort::Session session_;
};

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "expected two arguments: EXPORT_FOLDER IMAGE.ppm\n";
    return 2;
  }
  try {
    Classifier classifier(argv[1]);
    Image image = read_ppm(argv[2]);
    const auto probabilities = classifier.probabilities(image);
    const auto best = std::max_element(probabilities.begin(), probabilities.end());
    std::cout << classifier.labels().at(std::distance(probabilities.begin(), best)) << ' ' << *best << '\n';
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
