module tributary/conformance/clients/cmq

go 1.18

require github.com/TencentCloud/tencentcloud-cmq-sdk-go v0.0.0

replace github.com/TencentCloud/tencentcloud-cmq-sdk-go => ./tencentcloud-cmq-sdk-go
