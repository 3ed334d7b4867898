import TensorFlowLite
import UIKit

/// Classifies images by an export of the format `litert`, whose three files are resources of the app.
final class Classifier {
  enum ClassifierError: Error { case missing(String), unknownFit(String), noBitmap }

  private let labels: [String]
  private let manifest: Manifest
  private let interpreter: Interpreter

  init(bundle: Bundle = .main) throws {
    func path(_ name: String) throws -> String {
      guard let path = bundle.path(forResource: name, ofType: nil) else { throw ClassifierError.missing(name) }
      return path
    }
    let text = try String(contentsOfFile: path("labels.txt"), encoding: .utf8)
    labels = text.split(separator: "\n").map(String.init)
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    manifest = try decoder.decode(Manifest.self, from: Data(contentsOf: URL(fileURLWithPath: path("resnet50.json"))))
    guard manifest.fit.mode == "crop" else { throw ClassifierError.unknownFit(manifest.fit.mode) }
    interpreter = try Interpreter(modelPath: path("model.tflite"))
    try interpreter.allocateTensors()
  }

  /// Returns the most probable class of an image and its probability.
  func classify(_ image: UIImage) throws -> (label: String, probability: Float) {
    let pixels = try fitted(image)
    try interpreter.copy(pixels.withUnsafeBufferPointer { Data(buffer: $0) }, toInputAt: 0)
    try interpreter.invoke()
    let output = try interpreter.output(at: 0)
    let probabilities = output.data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    let best = probabilities.indices.max { probabilities[$0] < probabilities[$1] }!
    return (labels[best], probabilities[best])
  }

  /// Returns RGB, 0 to 255, row by row: the middle of the image, upright, on white.
  private func fitted(_ image: UIImage) throws -> [Float] {
    let (height, width) = (manifest.export.imageSize[0], manifest.export.imageSize[1])
    let scale = min(image.size.width / CGFloat(width), image.size.height / CGFloat(height)) * manifest.fit.cropRatio
    let size = CGSize(width: image.size.width / scale, height: image.size.height / scale)
    let corner = CGPoint(x: (CGFloat(width) - size.width) / 2, y: (CGFloat(height) - size.height) / 2)
    guard
      let space = CGColorSpace(name: CGColorSpace.sRGB),
      let context = CGContext(
        data: nil, width: width, height: height, bitsPerComponent: 8, bytesPerRow: 4 * width, space: space,
        bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
    else { throw ClassifierError.noBitmap }
    context.setFillColor(UIColor.white.cgColor)
    context.fill(CGRect(x: 0, y: 0, width: width, height: height))
    context.interpolationQuality = .high
    context.translateBy(x: 0, y: CGFloat(height))  // UIKit counts rows from the top
    context.scaleBy(x: 1, y: -1)
    UIGraphicsPushContext(context)
    image.draw(in: CGRect(origin: corner, size: size))
    UIGraphicsPopContext()
    guard let rgba = context.data?.assumingMemoryBound(to: UInt8.self) else { throw ClassifierError.noBitmap }
    return (0..<height * width * 3).map { Float(rgba[$0 / 3 * 4 + $0 % 3]) }
  }
}

/// What the sample reads of `resnet50.json`.
private struct Manifest: Decodable {
  struct Fit: Decodable {
    let mode: String
    let cropRatio: CGFloat
  }

  struct Export: Decodable {
    let imageSize: [Int]
  }

  let fit: Fit
  let export: Export
}
