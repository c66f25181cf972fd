trireme_bench(proxy_bench DEPS trireme_proxy)
target_sources(proxy_bench PRIVATE "${CMAKE_SOURCE_DIR}/test/support/wires.cc")
