find_package(benchmark REQUIRED)
trireme_bench(codec_bench DEPS trireme_api benchmark::benchmark_main)
