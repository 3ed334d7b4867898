// Classify an image by an ONNX export that takes images of any size:
//   dotnet run EXPORT_FOLDER IMAGE.ppm
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

public sealed class Classifier : IDisposable
{
    private readonly InferenceSession session;

    public Classifier(string folder)
    {
        Labels = File.ReadAllLines(Path.Combine(folder, "labels.txt"));
        session = new InferenceSession(Path.Combine(folder, "model.onnx"));
    }

    public string[] Labels { get; }

    /// <summary>Returns the probability of each class, in the order of the labels.</summary>
    /// <param name="pixels">RGB, row by row, upright.</param>
    public float[] Probabilities(byte[] pixels, int height, int width)
    {
        var image = new DenseTensor<byte>(pixels, new[] { height, width, 3 });
        var inputs = new List<NamedOnnxValue> { NamedOnnxValue.CreateFromTensor("image", image) };
        using (var results = session.Run(inputs, new[] { "probabilities" }))
        {
            return results.First().AsEnumerable<float>().ToArray();
        }
    }

    public void Dispose()
    {
        session.Dispose();
    }
}

public static class Program
{
    public static int Main(string[] arguments)
    {
        if (arguments.Length != 2)
        {
            Console.Error.WriteLine("expected two arguments: EXPORT_FOLDER IMAGE.ppm");
            return 2;
        }
        using (var classifier = new Classifier(arguments[0]))
        {
            var pixels = ReadPpm(arguments[1], out var height, out var width);
            var probabilities = classifier.Probabilities(pixels, height, width);
            var best = Array.IndexOf(probabilities, probabilities.Max());
            Console.WriteLine($"{classifier.Labels[best]} {probabilities[best]}");
            return 0;
        }
    }

    // PPM needs no library. Any decoder does that gives RGB bytes, such as SkiaSharp or ImageSharp.
    private static byte[] ReadPpm(string path, out int height, out int width)
    {
        using (var file = new BinaryReader(File.OpenRead(path)))
        {
            var kind = ReadWord(file);
            if (!int.TryParse(ReadWord(file), out width) | !int.TryParse(ReadWord(file), out height)
                || kind != "P6" || ReadWord(file) != "255")
            {
                throw new InvalidDataException($"{path}: expected a PPM file (P6) of 8 bits");
            }
            return file.ReadBytes(3 * height * width);
        }
    }

    private static string ReadWord(BinaryReader file)
    {
        var word = "";
        for (var next = file.ReadByte(); !char.IsWhiteSpace((char)next); next = file.ReadByte())
        {
            word += (char)next;
        }
        return word;
    }
}
